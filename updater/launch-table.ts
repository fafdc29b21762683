/**
 * What launch starts, as one pure table. Imports nothing at all: launch must outlive whatever an update can replace.
 * The record is read by hand, by its stable prefix only, so that a record of any later schema is understood.
 */

/** The stable prefix of the state record (protocol/state-record.ts, statePrefixShape). */
export interface StatePrefix {
  readonly row: string;
  readonly committed: { readonly app: string; readonly updater: string };
  readonly trial: {
    readonly tx: number;
    readonly component: string;
    readonly slot: string;
    readonly tries: number;
  } | null;
  /** There is no proven version to run, also while a transaction is to end that. */
  readonly isSafe: boolean;
}

/** One start that was counted. */
export interface CountedStart {
  readonly boot: string;
  readonly n: number;
}

export interface LaunchCount {
  readonly tx: number;
  readonly slot: string;
  readonly starts: readonly CountedStart[];
}

export type LaunchChoice =
  | { readonly start: 'slot'; readonly slot: string; readonly counted: boolean }
  | { readonly start: 'factory' }
  | { readonly start: 'nothing'; readonly why: string };

/** Power cycles without an observed exit that a trial survives; then it is inconclusive. */
export const bootsMax = 10;

const slotNames = new Set(['0', '1', '2', 'factory']);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** null when the body has not even the prefix: then nothing is known, and unknown is never slot A (S6). */
export function readPrefix(body: unknown): StatePrefix | null {
  if (!isObject(body) || typeof body.row !== 'string' || !isObject(body.committed)) return null;
  const { app, updater } = body.committed;
  if (typeof app !== 'string' || typeof updater !== 'string' || !slotNames.has(app) || !slotNames.has(updater))
    return null;
  const trial = body.trial;
  const isSafe = body.row === 'safe' || isObject(body.safe);
  if (trial === null || trial === undefined) return { row: body.row, committed: { app, updater }, trial: null, isSafe };
  if (!isObject(trial)) return null;
  const { tx, component, slot, tries } = trial;
  if (typeof tx !== 'number' || typeof component !== 'string' || typeof slot !== 'string' || typeof tries !== 'number')
    return null;
  if (!slotNames.has(slot)) return null;
  return { row: body.row, committed: { app, updater }, trial: { tx, component, slot, tries }, isSafe };
}

/**
 * Starts of this transaction that used up a try. The last start of an earlier boot ended with the power, as far as
 * anybody observed: it counts as a boot, not as a try.
 */
export function countStarts(starts: readonly CountedStart[], boot: string): { tries: number; boots: number } {
  let boots = 0;
  starts.forEach((start, index) => {
    const following = starts[index + 1]?.boot ?? boot;
    if (following !== start.boot) boots += 1;
  });
  return { tries: starts.length - boots, boots };
}

/** The rows in which only the updater starts the agent. */
const startNothing = new Set(['quiesced', 'snapped', 'returning', 'reverting']);
const startCommitted = new Set(['idle', 'resolved', 'fetching', 'writing', 'sealed', 'closing']);

/** DESIGN section 4, "launch's table". */
export function chooseSlot(
  component: 'app' | 'updater',
  prefix: StatePrefix,
  count: LaunchCount | null,
  boot: string,
): LaunchChoice {
  const committed = { start: 'slot', slot: prefix.committed[component], counted: false } as const;
  const { trial, row } = prefix;
  if (trial !== null && trial.component === component && (row === 'armed' || row === 'trial')) {
    const starts = count !== null && count.tx === trial.tx ? count.starts : [];
    const { tries, boots } = countStarts(starts, boot);
    // The updater before it judges what these tries came to: an appliance is never without one (I10).
    if (component === 'updater' && (boots >= bootsMax || tries >= trial.tries)) return committed;
    if (boots >= bootsMax) return { start: 'nothing', why: `transaction ${trial.tx} ran out of boots` };
    if (tries >= trial.tries) return { start: 'nothing', why: `transaction ${trial.tx} has no tries left` };
    return { start: 'slot', slot: trial.slot, counted: true };
  }
  if (trial !== null && trial.component === component && row === 'committing') {
    return { start: 'slot', slot: trial.slot, counted: false };
  }
  // The updater's own rows never stop the updater: it must run in every state (I10).
  if (component === 'updater') return committed;
  if (startNothing.has(row)) return { start: 'nothing', why: `the updater is at work (${row})` };
  if (prefix.isSafe) return { start: 'factory' };
  if (startCommitted.has(row) || trial?.component === 'updater') return committed;
  // A row of a newer updater: what it is doing to the agent's state nobody here knows. Factory has one of its own (I3).
  return { start: 'factory' };
}
