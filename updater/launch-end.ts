import { join } from 'node:path';
import type { Layout } from '../protocol/layout.ts';
import { readFile, replaceJson, whereThereIsRoom } from './effects/durable.ts';
import type { Files } from './effects/files.ts';

/**
 * `launch ended`: what systemd says of each end of the agent (systemd.exec(5), ExecStopPost), counted in run/, for the
 * updater. Imports only Node.
 */

export interface AgentEnds {
  /** Ends that nobody ordered, since the boot. */
  readonly crashes: number;
  /** The run that ended last without an order, as systemd calls it; null: none has. */
  readonly invocation: string | null;
  readonly exit: Exit | null;
}

const endsBytesMax = 4 * 1024;
const none: AgentEnds = { crashes: 0, invocation: null, exit: null };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What was counted in this boot; nothing where the file is not there or not what launch writes. */
export function readEnds(files: Files, layout: Layout): AgentEnds {
  try {
    const bytes = readFile(files, layout.agentEnds, endsBytesMax);
    const ends: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
    if (!isObject(ends) || typeof ends.crashes !== 'number' || typeof ends.invocation !== 'string') return none;
    return { crashes: ends.crashes, invocation: ends.invocation, exit: exitOf(ends.exit) };
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return none;
    throw error;
  }
}

/** The run that the updater is stopping, or stopped last; null: none. */
function stoppedInvocation(files: Files, layout: Layout): string | null {
  return readFile(files, layout.agentStopping, endsBytesMax)?.toString('ascii').trim() ?? null;
}

/**
 * Counts one end, unless the updater ordered it or nothing of the agent was started.
 * @param end `code` as in $EXIT_CODE (`exited`, `killed`, `dumped`; empty: it never ran), `status` as in $EXIT_STATUS
 * @returns was it counted?
 */
export function countEnd(
  files: Files,
  layout: Layout,
  end: { readonly invocation: string; readonly code: string; readonly status: string },
): boolean {
  if (end.code === '' || end.invocation === '' || end.invocation === stoppedInvocation(files, layout)) return false;
  const { crashes } = readEnds(files, layout);
  const hasExited = end.code === 'exited';
  const exit = { code: hasExited ? Number(end.status) : null, signal: hasExited ? null : `SIG${end.status}` };
  replaceJson(files, layout.agentEnds, { crashes: crashes + 1, invocation: end.invocation, exit }, 0o600);
  return true;
}

/** How the updater in one slot ended, again and again. */
export interface UpdaterEnds {
  readonly slot: string;
  /** Bad ends in a row; a good one of the same slot begins anew. */
  readonly failures: number;
  readonly invocation: string;
  readonly exit: Exit;
}

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** After so many bad ends in a row, without a good one, factory runs in the place of what is committed (until the next boot). */
export const updaterFailuresMax = 5;
/** An updater that ends so wants to be started again at once: nothing is wrong with it. */
export const exitAgain = 75;

/** How the updater ended in this boot; null: nobody saw it end. */
export function readUpdaterEnds(files: Files, layout: Layout): UpdaterEnds | null {
  try {
    const bytes = readFile(files, layout.updaterEnds, endsBytesMax);
    const ends: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
    if (!isObject(ends) || typeof ends.slot !== 'string' || typeof ends.failures !== 'number') return null;
    const invocation = typeof ends.invocation === 'string' ? ends.invocation : '';
    return { slot: ends.slot, failures: ends.failures, invocation, exit: exitOf(ends.exit) };
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

function exitOf(exit: unknown): Exit {
  const { code, signal } = isObject(exit) ? exit : {};
  return { code: typeof code === 'number' ? code : null, signal: typeof signal === 'string' ? signal : null };
}

/** The slot that launch started the updater from last. */
function startedSlot(files: Files, layout: Layout): string | null {
  const bytes = readFile(files, join(layout.launchedComponent('updater'), 'start.json'), endsBytesMax);
  const start: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
  return isObject(start) && typeof start.slot === 'string' ? start.slot : null;
}

/**
 * Notes an end of the updater. What factory does in the place of another slot says nothing about that one.
 * @param end as of {@link countEnd}
 * @returns bad ends in a row
 */
export function countUpdaterEnd(
  files: Files,
  layout: Layout,
  end: { readonly invocation: string; readonly code: string; readonly status: string },
): number {
  // It does not hang any more: whoever looks for one that does must not end the next start before that is noted.
  files.unlink(layout.updaterStart);
  const before = readUpdaterEnds(files, layout);
  const slot = startedSlot(files, layout);
  if (end.code === '' || slot === null) return before?.failures ?? 0;
  const stands = before !== null && before.slot !== slot && slot === 'factory' && before.failures >= updaterFailuresMax;
  if (stands) return before.failures;
  const hasExited = end.code === 'exited';
  const isGood = hasExited && (end.status === '0' || end.status === String(exitAgain));
  const failures = isGood ? 0 : (before?.slot === slot ? before.failures : 0) + 1;
  const exit: Exit = hasExited
    ? { code: Number(end.status), signal: null }
    : { code: null, signal: `SIG${end.status}` };
  const ends: UpdaterEnds = { slot, failures, invocation: end.invocation, exit };
  whereThereIsRoom(() => replaceJson(files, layout.updaterEnds, ends, 0o600));
  return failures;
}
