import type { Layout } from '../protocol/layout.ts';
import { readFile, replaceJson } from './effects/durable.ts';
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
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
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
    const { code, signal } = isObject(ends.exit) ? ends.exit : {};
    const exit = { code: typeof code === 'number' ? code : null, signal: typeof signal === 'string' ? signal : null };
    return { crashes: ends.crashes, invocation: ends.invocation, exit };
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
