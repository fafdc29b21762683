import type { Row } from '../../protocol/state-record.ts';
import { oneOf } from './random.ts';
import type { Place, Tally, Victim } from './tally.ts';

/**
 * What begins on one appliance. `rot`: a byte of the committed version changes while the power is off. `rewrite`: a
 * release comes whose data no older one reads. `data`: back from that one, with the data of before it. `self`, `self-bad`:
 * the updater is replaced, by one that is good and by one that fails its trial.
 */
export type Flow = 'good' | 'bad' | 'return' | 'quiet' | 'rot' | 'rewrite' | 'data' | 'self' | 'self-bad';

/** What is done to one appliance: something begins, and something dies in it. */
export interface Strike {
  readonly flow: Flow;
  readonly victim: Exclude<Victim, 'server'>;
  readonly place: Place;
}

/** What an appliance can do now. */
export interface Situation {
  readonly hasPrevious: boolean;
  /** Does the version before it write data that older ones do not read? */
  readonly previousRewrites: boolean;
  /** Is the committed version one whose data older ones do not read? */
  readonly isRewritten: boolean;
  /** Is the data of before the committed version still there? */
  readonly hasDataOfBefore: boolean;
}

const install = ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'];
const rowsOfFlow = {
  good: install,
  rewrite: install,
  bad: ['trial', 'reverting', 'armed', 'writing'],
  return: ['sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'],
  data: ['sealed', 'quiesced', 'snapped', 'returning', 'armed', 'trial', 'committing'],
  quiet: ['idle', 'closing'],
  rot: ['safe'],
  self: ['resolved', 'fetching', 'writing', 'sealed', 'armed', 'trial', 'committing'],
  'self-bad': ['sealed', 'armed', 'trial', 'reverting'],
} as Readonly<Record<Flow, readonly Row[]>>;

export const isOfUpdater = (flow: Flow): boolean => flow === 'self' || flow === 'self-bad';

/** Each as often as it stands here. */
function flowsIn({ hasPrevious, previousRewrites, isRewritten, hasDataOfBefore }: Situation): readonly Flow[] {
  if (isRewritten && hasDataOfBefore) return ['data'];
  const always = ['good', 'good', 'good', 'quiet', 'self', 'self-bad'] as const;
  // What fails its trial here would fail for the data; and out of safe mode nobody could name the data of before.
  if (isRewritten) return always;
  const back = hasPrevious ? (['return', 'quiet'] as const) : [];
  const rot = previousRewrites ? [] : (['rot'] as const);
  return [...always, 'bad', 'bad', 'rewrite', ...back, ...rot];
}

/** In this row the updater is at work, and nothing else is there that could be killed in time. */
const inReturning = ['updater', 'updater', 'updater', 'plug'] as const;
const ofAgent = ['updater', 'updater', 'updater', 'agent', 'launch', 'page', 'plug'] as const;
const ofUpdater = ['updater', 'updater', 'launch', 'launch', 'agent', 'page', 'plug'] as const;

export function planStrike(random: () => number, tally: Tally, situation: Situation): Strike {
  const flow = oneOf(random, flowsIn(situation));
  const component = isOfUpdater(flow) ? 'updater' : 'app';
  const candidates = rowsOfFlow[flow].map((row): Place => ({ row, component }));
  const place = tally.leastOf(candidates, random);
  if (place.row === 'returning') return { flow, place, victim: oneOf(random, inReturning) };
  return { flow, place, victim: oneOf(random, component === 'updater' ? ofUpdater : ofAgent) };
}
