import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept, readKeptBytes, type Shape } from '../effects/kept-file.ts';

/**
 * `launch ended`: what systemd reports about each end of the agent (systemd.exec(5), ExecStopPost), counted in run/ for
 * the updater. Imports only Node.
 */

export interface AgentEnds {
  /** Ends that were not ordered, since the boot. */
  readonly crashes: number;
  /** The last run that ended without an order, by systemd's name; null: none has. */
  readonly invocation: string | null;
  readonly exit: Exit | null;
}

const endsBytesMax = 4 * 1024;
const none: AgentEnds = { crashes: 0, invocation: null, exit: null };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What was counted in this boot; nothing if the file is missing or not what launch writes. */
export function readEnds(files: Files, layout: Layout): AgentEnds {
  return readKept(files, layout.agentEnds, endsBytesMax, agentEnds) ?? none;
}

const agentEnds: Shape<AgentEnds> = {
  safeParse: (ends) =>
    isObject(ends) && typeof ends.crashes === 'number' && typeof ends.invocation === 'string'
      ? { success: true, data: { crashes: ends.crashes, invocation: ends.invocation, exit: exitOf(ends.exit) } }
      : { success: false },
};

/** The run that the updater is stopping, or stopped last; null: none. */
function stoppedInvocation(files: Files, layout: Layout): string | null {
  return readKeptBytes(files, layout.agentStopping, endsBytesMax)?.toString('ascii').trim() ?? null;
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
  /** Bad ends in a row; a good end of the same slot resets it. */
  readonly failures: number;
  readonly invocation: string;
  readonly exit: Exit;
}

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** After this many bad ends in a row, factory runs in the place of the committed updater (until the next boot). */
export const updaterFailuresMax = 5;
/** An updater that ends with this asks to be started again at once: nothing is wrong with it. */
export const exitAgain = 75;

/** How the updater ended in this boot; null: no end was observed. */
export function readUpdaterEnds(files: Files, layout: Layout): UpdaterEnds | null {
  return readKept(files, layout.updaterEnds, endsBytesMax, updaterEnds);
}

const updaterEnds: Shape<UpdaterEnds> = {
  safeParse: (ends) => {
    if (!isObject(ends) || typeof ends.slot !== 'string' || typeof ends.failures !== 'number')
      return { success: false };
    const invocation = typeof ends.invocation === 'string' ? ends.invocation : '';
    return { success: true, data: { slot: ends.slot, failures: ends.failures, invocation, exit: exitOf(ends.exit) } };
  },
};

function exitOf(exit: unknown): Exit {
  const { code, signal } = isObject(exit) ? exit : {};
  return { code: typeof code === 'number' ? code : null, signal: typeof signal === 'string' ? signal : null };
}

/** The slot from which launch last started the updater. */
function startedSlot(files: Files, layout: Layout): string | null {
  return readKept(files, join(layout.launchedComponent('updater'), 'start.json'), endsBytesMax, slotStarted);
}

const slotStarted: Shape<string> = {
  safeParse: (start) =>
    isObject(start) && typeof start.slot === 'string' ? { success: true, data: start.slot } : { success: false },
};

/**
 * Notes an end of the updater. What factory does in the place of another slot says nothing about that slot.
 * @param end as in {@link countEnd}
 * @returns bad ends in a row
 */
export function countUpdaterEnd(
  files: Files,
  layout: Layout,
  end: { readonly invocation: string; readonly code: string; readonly status: string },
): number {
  // The updater no longer hangs: a look for a hanging one must not end the next start before that start is noted.
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
