import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type TransactionLine, transactionLineShape } from '../../protocol/status.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import type { World } from '../support/world/world.ts';
import { highestOf } from './checks.ts';
import type { ReadingsSeen, RecordSeen } from './observations.ts';

/** How the story looks at things: only from outside. */

const crashEventShape = z.object({
  crash: z.object({ exit: z.object({ code: z.number().nullable() }), output: z.string() }),
});

export async function crashReports(world: World, name: string) {
  const events = await world.server.events(name, 'agent-crashed');
  return events.map(({ role, body }) => {
    const { crash } = crashEventShape.parse(body);
    return { role, code: crash.exit.code, output: crash.output };
  });
}

export function agentInProcessTable(box: ApplianceBox): { pid: number; uid: number } | null {
  const pid = box.agentPid();
  if (pid === null) return null;
  const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return { pid, uid: Number(uid?.[1]) };
}

export async function page(url: string): Promise<{ status: number; html: string }> {
  const answer = await fetch(url);
  return { status: answer.status, html: await answer.text() };
}

export async function historyOf(box: ApplianceBox): Promise<TransactionLine[]> {
  const { stdout } = await box.updaterProgram(['history', '--json']);
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [transactionLineShape.parse(JSON.parse(line))]));
}

export async function whyOf(box: ApplianceBox): Promise<string> {
  const { stdout } = await box.updaterProgram(['why', '--json']);
  return z.object({ why: z.string() }).parse(JSON.parse(stdout)).why;
}

export async function acknowledged(world: World, name: string): Promise<RecordSeen[]> {
  return (await world.server.records(name)).map(({ name: record, sha256 }) => ({ name: record, sha256 }));
}

const readingsShape = z.object({ count: z.int(), sha256: z.string(), first: z.int().nullable() });

/** Asks the agent, by an order, what rows it has up to a number. */
export async function readings(world: World, name: string, upTo: number): Promise<ReadingsSeen> {
  const order = await world.server.sendOrder(name, 'diagnostic', { query: 'readings', upTo: String(upTo) });
  const ended = await until(`the agent of ${name} reads its rows`, patienceMs, async () => {
    const now = await world.server.order(order.id);
    return now.endedAtMs === null ? null : now;
  });
  if (ended.state !== 'succeeded' || ended.result === null)
    throw new Error(`diagnostic: ${ended.state} ${ended.error ?? ''}`);
  return { upTo, ...readingsShape.parse(JSON.parse(ended.result)) };
}

/** What was acknowledged up to now, and what the agent has of that. */
export async function recordsAndReadings(world: World, name: string) {
  const records = await acknowledged(world, name);
  return { records, readings: await readings(world, name, highestOf(records)) };
}

const releaseEventShape = z.object({
  release: z.object({
    fetchedMs: z.number().optional(),
    downMs: z.number().optional(),
    revertedMs: z.number().optional(),
    version: z.string(),
  }),
});

/** Figures of a transaction, as its events brought them to the server. */
export async function figures(world: World, name: string, kind: string, version: string) {
  const events = await world.server.events(name, kind);
  const found = events
    .map(({ body }) => releaseEventShape.parse(body).release)
    .find((release) => release.version === version);
  return found ?? null;
}
