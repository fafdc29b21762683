import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { processesOf } from '../../image/development/supervisor/processes-of.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';

/** What can be seen of an agent from outside: the process table, the disk, its socket. Nothing here takes its word. */

/** More than any of them needs to be seen at what it does. */
const answerBytesMax = 64 * 1024 * 1024;

export interface Answered {
  readonly text: string;
  readonly bytes: number;
  readonly hasEnded: boolean;
  /** The answer as JSON; null when it is none. */
  readonly json: Readonly<Record<string, unknown>> | null;
}

const objectShape = z.record(z.string(), z.unknown());

function parsed(text: string): Answered['json'] {
  try {
    return objectShape.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

/** What comes out of the agent's socket within this time; null when nobody takes the connection. */
export function answered(box: ApplianceBox, withinMs = 1_500): Promise<Answered | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const socket = connect(box.layout.agentSocket);
    const end = (hasEnded: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(parts).toString('utf8');
      resolve({ text, bytes, hasEnded, json: parsed(text) });
    };
    const timer = setTimeout(() => end(false), withinMs);
    socket.on('error', () => {
      clearTimeout(timer);
      resolve(null);
    });
    socket.on('end', () => end(true));
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= 1_000_000) parts.push(part);
      if (bytes >= answerBytesMax) end(false);
    });
  });
}

function userOf(box: ApplianceBox): number {
  const { agentUser } = box.config;
  if (agentUser === null) throw new RangeError('these tests need root: each agent is a user of its own');
  return agentUser.uid;
}

export function processesOfAgent(box: ApplianceBox): number[] {
  return processesOf({ by: 'user', uid: userOf(box) });
}

/** A file below /proc of one process; empty when it is gone. */
export function procOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}

function statFields(pid: number): string[] {
  const stat = procOf(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** USER_HZ, the same on every Linux. */
const ticksPerS = 100;

/** How long a process has lived. */
export function livedS(pid: number): number {
  const upS = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return upS - Number(statFields(pid)[19] ?? 0) / ticksPerS;
}

export function handlesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Processors that all processes of the agent keep busy, measured over this time. */
export async function busyProcessors(box: ApplianceBox, overMs: number): Promise<number> {
  const ticks = () =>
    processesOfAgent(box).reduce((sum, pid) => {
      const fields = statFields(pid);
      return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    }, 0);
  const [before, startedMs] = [ticks(), performance.now()];
  await delay(overMs);
  return (ticks() - before) / ticksPerS / ((performance.now() - startedMs) / 1_000);
}

/** Threads of a process that want a processor, whether they have one now or wait for it. */
export function runnableThreads(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => procOf(pid, `task/${thread}/stat`));
  return threads.filter((stat) => stat.slice(stat.lastIndexOf(')') + 2).startsWith('R')).length;
}

/** Locks by flock(2) on this file, whoever holds them. */
export function locksOn(path: string): number {
  const { ino } = statSync(path);
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes('FLOCK') && line.includes(`:${ino} `)).length;
}

/** Abstract sockets whose name has this word. */
export function abstractNames(word: string): string[] {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .flatMap((line) => /@.*$/.exec(line) ?? [])
    .filter((name) => name.includes(word));
}

/** Where a link points; null when it is none. */
export function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'EINVAL' || error.code === 'ENOENT')) return null;
    throw error;
  }
}

const startShape = z.object({ nonce: z.string(), version: z.string() });

/** What launch started last. */
export function startOf({ layout }: ApplianceBox): z.infer<typeof startShape> {
  return startShape.parse(JSON.parse(readFileSync(`${layout.launchedComponent('app')}/start.json`, 'utf8')));
}

export function logOf(box: ApplianceBox): string {
  return readFileSync(`${box.config.logs}/agent.log`, 'utf8');
}

/** The number in a database of the agent, by another SQLite than its own. */
export function schemaIn(path: string): unknown {
  const database = readOnlyDatabase(path);
  try {
    return database.prepare('SELECT schema FROM meta').get()?.schema;
  } finally {
    database.close();
  }
}
