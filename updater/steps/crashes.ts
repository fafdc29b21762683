import { z } from 'zod';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { headAndTail } from '../text.ts';

/** Crashes by process control's own count; in run/, because that count is of this boot. */
const crashesShape = z.object({
  /** Reported to the server. */
  reported: z.int().min(0),
  /** When the committed version was started on purpose: what came before belongs to a trial. */
  base: z.int().min(0),
  /** Monotonic time at which the newest one was noticed. */
  noticedMs: z.number(),
});
const outputMax = 2_400;
/** A version that lived this long after its last crash is not called crashing any more. */
const recentMs = 5 * 60_000;

function crashesPath(appliance: Appliance): string {
  return `${appliance.layout.run}/crashes.json`;
}

function knownCrashes(appliance: Appliance): z.infer<typeof crashesShape> {
  const parsed = crashesShape.safeParse(readJson(appliance.files, crashesPath(appliance), 1_000));
  return parsed.success ? parsed.data : { reported: 0, base: 0, noticedMs: 0 };
}

/** From here on, crashes count anew: those before belong to a trial, which has a report of its own. */
export function forgetCrashes(appliance: Appliance, agent: AgentFacts): void {
  const crashes = { reported: agent.crashes, base: agent.crashes, noticedMs: 0 };
  replaceJson(appliance.files, crashesPath(appliance), crashes, 0o600);
}

/** Crashes of the committed version since it was started on purpose, while they are recent. */
export function recentCrashes(appliance: Appliance, agent: AgentFacts): number {
  const { base, noticedMs } = knownCrashes(appliance);
  const count = agent.crashes >= base ? agent.crashes - base : agent.crashes;
  const quietMs = appliance.clock.monoMs() - noticedMs;
  return agent.state === 'active' && quietMs > recentMs ? 0 : count;
}

/** Whoever is alive reports: a dead agent's exit and last output go to the server through the updater. */
export function reportCrashes(appliance: Appliance, state: StateBody, agent: AgentFacts): void {
  const before = knownCrashes(appliance);
  // Process control that was itself started again counts from nothing.
  const restarted = agent.crashes < before.reported;
  const count = restarted ? agent.crashes : agent.crashes - before.reported;
  if (count === 0) return;
  const { version } = state.app.committed;
  const exit = agent.lastExit ?? { code: null, signal: null };
  const noticedMs = appliance.clock.monoMs();
  appliance.events.add(`crash ${appliance.clock.bootId()} ${noticedMs}`, {
    kind: 'agent-crashed',
    text: `${version} ended by itself (${exit.signal ?? exit.code})`,
    crash: { count, exit, version, output: headAndTail(agent.lastOutput, outputMax) },
  });
  const crashes = { reported: agent.crashes, base: restarted ? 0 : before.base, noticedMs };
  replaceJson(appliance.files, crashesPath(appliance), crashes, 0o600);
}

/** What process control and the agent itself say at one moment. */
export interface AgentLook {
  /** null: process control does not answer. */
  readonly facts: AgentFacts | null;
  /** Of whatever listens on its socket; null: there is none, or nothing lives that could give it. */
  readonly answer: HealthAnswer | null;
}

export async function agentLook(appliance: Appliance): Promise<AgentLook> {
  const facts = await agentFacts(appliance);
  const { answer } = facts?.state === 'active' ? await readHealth(appliance.layout.agentSocket) : { answer: null };
  return { facts, answer };
}

export async function agentFacts(appliance: Appliance): Promise<AgentFacts | null> {
  try {
    return await appliance.processes.agent();
  } catch (error) {
    // Process control that does not answer is reported as unknown; it must not keep the report from going out.
    appliance.log(`process control: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}
