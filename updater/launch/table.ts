import { launchTexts } from '../words/texts.ts';

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
  /** There is no proven version to run, even during a transaction that is to end that. */
  readonly isSafe: boolean;
}

/** One counted start. */
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

/** null when the body lacks even the prefix: then nothing is known, and unknown is never slot A (S6). */
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
  // The names of another component's slots must not lose what is committed: launch never opens those slots.
  if ((component === 'app' || component === 'updater') && !slotNames.has(slot)) return null;
  return { row: body.row, committed: { app, updater }, trial: { tx, component, slot, tries }, isSafe };
}

/**
 * Starts of this transaction that used up a try. As far as anybody observed, the last start of an earlier boot ended
 * with the power: it counts as a boot, not as a try.
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

/** What launch starts in each row of the state table. */
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
    // The previous updater judges the result of these tries: an appliance is never without an updater (I10).
    if (component === 'updater' && (boots >= bootsMax || tries >= trial.tries)) return committed;
    if (boots >= bootsMax) return { start: 'nothing', why: launchTexts.outOfBoots(trial.tx) };
    if (tries >= trial.tries) return { start: 'nothing', why: launchTexts.outOfTries(trial.tx) };
    return { start: 'slot', slot: trial.slot, counted: true };
  }
  if (trial !== null && trial.component === component && row === 'committing') {
    return { start: 'slot', slot: trial.slot, counted: false };
  }
  // The updater's own rows never stop the updater: it must run in every state (I10).
  if (component === 'updater') return committed;
  if (startNothing.has(row)) return { start: 'nothing', why: launchTexts.updaterAtWork(row) };
  if (prefix.isSafe) return { start: 'factory' };
  // A trial of another component (the updater, the operating system) does not affect the agent: it continues to work.
  if (startCommitted.has(row) || (trial !== null && trial.component !== 'app')) return committed;
  // A row of a newer updater: it is unknown what it does to the agent's state. Factory has a state of its own (I3).
  return { start: 'factory' };
}
