import { z } from 'zod';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { cut, lastWord } from '../../protocol/text.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { isAgentOnTrial } from '../machine/component-rules.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { headAndTail } from '../words/text.ts';
import { watchTexts } from '../words/texts.ts';
import { readAgentHealth } from './agent-health.ts';

/** Crashes by process control's own count; in run/, because that count is per boot. */
const crashesShape = z.object({
  /** Reported to the server. */
  reported: z.int().min(0),
  /** The count when the committed version was started on purpose: earlier crashes belong to a trial. */
  base: z.int().min(0),
  /** Monotonic time at which the newest crash was noticed. */
  noticedMs: z.number(),
});
const outputMax = 2_400;
/** Characters of its last words, when one line reports it. */
const wordMax = 120;
/** A version that has run this long since its last crash no longer counts as crashing. */
const recentMs = 5 * 60_000;

function crashesPath(appliance: Appliance): string {
  return `${appliance.layout.run}/crashes.json`;
}

function knownCrashes(appliance: Appliance): z.infer<typeof crashesShape> {
  const known = readKept(appliance.files, crashesPath(appliance), 1_000, crashesShape);
  return known ?? { reported: 0, base: 0, noticedMs: 0 };
}

/** From here on, crashes count anew: earlier ones belong to a trial, which has its own report. */
export function forgetCrashes(appliance: Appliance, agent: AgentFacts): void {
  const crashes = { reported: agent.crashes, base: agent.crashes, noticedMs: 0 };
  replaceJson(appliance.files, crashesPath(appliance), crashes, 0o600);
}

/** When a version's trial began: earlier ends belong to another version. */
const trialShape = z.object({ tx: z.int(), boot: z.string(), crashes: z.int().min(0) });

function trialPath({ layout }: Appliance): string {
  return `${layout.run}/trial-crashes.json`;
}

/** Noted before the version on trial is started, once per boot: a repeated start belongs to the same trial. */
export function noteTrialBegins(appliance: Appliance, tx: number, agent: AgentFacts): void {
  const { files, clock } = appliance;
  const boot = clock.bootId();
  const known = readKept(files, trialPath(appliance), 1_000, trialShape);
  if (known?.tx === tx && known.boot === boot) return;
  // Only reports read it: a full run/ must not keep a version from its trial.
  whereThereIsRoom(() => replaceJson(files, trialPath(appliance), { tx, boot, crashes: agent.crashes }, 0o600));
}

/**
 * Crashes of the version on trial. If an earlier boot began the trial, all crashes of this boot are its own.
 * @returns null: its beginning was not recorded
 */
export function trialCrashes(appliance: Appliance, tx: number, agent: AgentFacts): number | null {
  const { files, clock } = appliance;
  const known = readKept(files, trialPath(appliance), 1_000, trialShape);
  if (known?.tx !== tx) return null;
  return known.boot === clock.bootId() ? since(known.crashes, agent) : agent.crashes;
}

/** A restarted process control counts from zero. */
function since(base: number, { crashes }: AgentFacts): number {
  return crashes >= base ? crashes - base : crashes;
}

/** Crashes of the version that runs now, on trial or committed, since it was started on purpose. */
function ownCrashes(appliance: Appliance, state: StateBody, agent: AgentFacts): number {
  const ofTrial = state.trial !== null && isAgentOnTrial(state) ? trialCrashes(appliance, state.trial.tx, agent) : null;
  return ofTrial ?? since(knownCrashes(appliance).base, agent);
}

/** {@link ownCrashes}, while they are recent. */
export function recentCrashes(appliance: Appliance, state: StateBody, agent: AgentFacts): number {
  const quietMs = appliance.clock.monoMs() - knownCrashes(appliance).noticedMs;
  return agent.state === 'active' && quietMs > recentMs ? 0 : ownCrashes(appliance, state, agent);
}

/** How the version that runs now last ended, and its output; another version's end is not shown for it. */
export function ownEnd(
  appliance: Appliance,
  state: StateBody,
  agent: AgentFacts,
): Pick<AgentFacts, 'lastExit' | 'lastOutput'> {
  return ownCrashes(appliance, state, agent) > 0 ? agent : { lastExit: null, lastOutput: '' };
}

/** The updater reports for a dead agent: its exit and last output go to the server. */
export function reportCrashes(appliance: Appliance, state: StateBody, agent: AgentFacts): void {
  const before = knownCrashes(appliance);
  // A restarted process control counts from zero.
  const restarted = agent.crashes < before.reported;
  const count = restarted ? agent.crashes : agent.crashes - before.reported;
  if (count === 0) return;
  const { version } = state.app.committed;
  const exit = agent.lastExit ?? { code: null, signal: null };
  const noticedMs = appliance.clock.monoMs();
  const word = cut(lastWord(agent.lastOutput), wordMax);
  appliance.events.add(`crash ${appliance.clock.bootId()} ${noticedMs}`, {
    kind: 'agent-crashed',
    text: watchTexts.endedByItself(version, exit.signal ?? exit.code, word === '' ? '' : watchTexts.saidLast(word)),
    crash: { count, exit, version, output: headAndTail(agent.lastOutput, outputMax) },
  });
  const crashes = { reported: agent.crashes, base: restarted ? 0 : before.base, noticedMs };
  replaceJson(appliance.files, crashesPath(appliance), crashes, 0o600);
}

/** What process control and the agent itself say at one moment. */
export interface AgentLook {
  /** null: process control does not answer. */
  readonly facts: AgentFacts | null;
  /** From the program that listens on the agent's socket; null: there is none, or no process runs that could answer. */
  readonly answer: HealthAnswer | null;
}

export async function agentLook(appliance: Appliance): Promise<AgentLook> {
  const facts = await agentFacts(appliance);
  const { answer } = facts?.state === 'active' ? await readAgentHealth(appliance) : { answer: null };
  return { facts, answer };
}

export async function agentFacts(appliance: Appliance): Promise<AgentFacts | null> {
  try {
    return await appliance.processes.agent();
  } catch (error) {
    // If process control does not answer, this is reported as unknown; it must not keep the report from being sent.
    appliance.log(watchTexts.processControl(error instanceof Error ? error.message : String(error)));
    return null;
  }
}
