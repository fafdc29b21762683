import { slotShape } from '../../protocol/component.ts';
import type { Layout } from '../../protocol/layout.ts';
import { launchBodyShape, type StateBody } from '../../protocol/state-record.ts';
import { readFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { launchCount } from '../../updater/launch-count.ts';
import { knownRecord, readRecord } from '../../updater/record-store.ts';
import { readSeal, verifyInstalled } from '../../updater/release/verify-slot.ts';
import { loadState } from '../../updater/state-store.ts';
import type { Kind } from './kinds.ts';
import { type ModelAgent, readData } from './model-agent.ts';
import { originalData, outboxText } from './model-appliance.ts';

/** What was true before the power went. */
export interface Before {
  readonly seq: number;
  readonly state: StateBody;
}

export function beforeOf(files: Files, { around: { layout } }: Kind): Before {
  return { seq: readRecord(files, layout.stateRecords)?.seq ?? 0, state: loadState(files, layout) };
}

function sealedManifests(files: Files, layout: Layout): string[] {
  return slotShape.options.flatMap((slot) => readSeal(files, layout.slot('app', slot))?.manifest ?? []);
}

/** DESIGN section 4, each with its number; checked on a disk at rest. @returns the sentences that are broken */
export function brokenInvariants(
  files: Files,
  { around, mayCommit, maySafe }: Kind,
  before: Before,
  agent: Pick<ModelAgent, 'unreadable' | 'stops'>,
): string[] {
  const { layout } = around;
  const broken: string[] = [];
  const holds = (number: string, is: boolean, sentence: string) => {
    if (!is) broken.push(`${number}: ${sentence}`);
  };
  const state = loadState(files, layout);
  const { committed } = state.app;
  const start = launchCount({ files, bootId: () => 'look' }, layout, 'app');
  const slot = start.outcome === 'chosen' ? start.slot : null;
  const isSafe = state.row === 'safe';
  holds(
    'I1',
    slot !== null && (verifyInstalled(files, layout, 'app', slot).sound || (isSafe && maySafe)),
    `launch starts ${slot ?? 'nothing'}, which is not whole`,
  );
  holds(
    'I2',
    slot === (isSafe ? 'factory' : committed.slot),
    `launch starts slot ${slot}, and ${committed.slot} is committed`,
  );
  holds('I1', !isSafe || maySafe, 'an appliance whose disk lost nothing that was synced is in safe mode');
  holds('I3', agent.unreadable.length === 0, agent.unreadable.join(', '));
  const data = readData(files, layout.stateDb);
  const reads = readSeal(files, layout.slot('app', committed.slot))?.state.reads;
  holds(
    'I3',
    data !== null && reads !== undefined && data.schema <= reads.max,
    `${committed.version} can not read schema ${data?.schema}`,
  );
  holds('I4', data?.data === originalData, `the data is ${data?.data ?? 'gone'}`);
  holds(
    'I4',
    (data?.stops ?? 0) >= agent.stops,
    `of ${agent.stops} stops that were written down ${data?.stops} are there`,
  );
  const outbox = readFile(files, layout.outboxDb, 100_000)?.toString('utf8');
  holds('I5', outbox === outboxText, 'the outbox is another one');
  const seq = readRecord(files, layout.stateRecords)?.seq ?? 0;
  holds('I5', seq >= before.seq, `the record's number went from ${before.seq} to ${seq}`);
  holds('I5', state.floor.app >= before.state.floor.app, 'the floor fell');
  const { previous } = state.app;
  const lowest = Math.min(committed.securityVersion, previous?.securityVersion ?? committed.securityVersion);
  holds('I5', state.floor.app <= lowest, 'the floor forbids a version that is kept');
  const isPreviousWhole = previous === null || verifyInstalled(files, layout, 'app', previous.slot).sound;
  holds('I1', isPreviousWhole || maySafe, `the version before, ${previous?.version}, is not whole`);
  holds('I5', state.lastTx >= before.state.lastTx, 'a transaction number is given twice');
  const strangers = sealedManifests(files, layout).filter((manifest) => !around.released.includes(manifest));
  holds('I7', strangers.length === 0, `sealed, and never released: ${strangers.join()}`);
  const later = ['another boot', 'one more', 'and one more'].map((boot) => {
    const again = launchCount({ files, bootId: () => boot }, layout, 'app');
    return again.outcome === 'chosen' ? again.slot : null;
  });
  holds(
    'I9',
    later.every((one) => one === slot),
    `further boots start ${later.join()}`,
  );
  const taken = state.quarantine.some(({ manifest }) => manifest === committed.manifest);
  holds(
    'I12',
    !taken || before.state.app.committed.manifest === committed.manifest,
    'what is in quarantine is committed',
  );
  const forgotten = before.state.quarantine.filter(
    ({ manifest }) => !state.quarantine.some((entry) => entry.manifest === manifest),
  );
  holds('I5', forgotten.length === 0, 'a quarantine is forgotten');
  holds('I6', mayCommit.includes(committed.version), `${committed.version} is committed`);
  holds('I8', state.transaction === null, `a transaction is left in ${state.row}`);
  return broken;
}

/** What must hold on a disk as it is found, before anything is done with it. */
export function brokenAsFound(files: Files, { around: { layout } }: Kind): string[] {
  const state = stateOrNull(files, layout);
  if (state?.trial === null || state === null || (state.row !== 'armed' && state.row !== 'trial')) return [];
  const data = readData(files, layout.stateDb);
  const ran = data !== null && data.schema > 1;
  const counted = launchBodyShape.safeParse(knownRecord(files, layout.launchRecords)?.body);
  const starts = counted.data?.app?.tx === state.trial.tx ? counted.data.app.starts.length : 0;
  return ran && starts === 0 ? ['I2: a version on trial ran, and its try is not counted'] : [];
}

/** The version that must stay committed: what a kind comes to in the end is there already, and the power goes. */
export function endsAsFound(files: Files, { around: { layout }, ends, maySafe }: Kind): string | null {
  const state = stateOrNull(files, layout);
  const isThere = state?.row === 'idle' && state.app.committed.version === ends.committed;
  return isThere && !maySafe ? ends.committed : null;
}

function stateOrNull(files: Files, layout: Layout): StateBody | null {
  try {
    return loadState(files, layout);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}
