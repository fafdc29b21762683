import { slotShape } from '../../protocol/component.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { readFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { launchCount } from '../../updater/launch-count.ts';
import { readRecord } from '../../updater/record-store.ts';
import { readSeal, verifyInstalled } from '../../updater/release/verify-slot.ts';
import { loadState } from '../../updater/state-store.ts';
import type { Kind } from './kinds.ts';
import { readData } from './model-agent.ts';
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
  unreadable: readonly string[],
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
  holds('I3', unreadable.length === 0, unreadable.join(', '));
  const data = readData(files, layout.stateDb);
  const reads = readSeal(files, layout.slot('app', committed.slot))?.state.reads;
  holds(
    'I3',
    data !== null && reads !== undefined && data.schema <= reads.max,
    `${committed.version} can not read schema ${data?.schema}`,
  );
  holds('I4', data?.data === originalData, `the data is ${data?.data ?? 'gone'}`);
  const outbox = readFile(files, layout.outboxDb, 100_000)?.toString('utf8');
  holds('I5', outbox === outboxText, 'the outbox is another one');
  const seq = readRecord(files, layout.stateRecords)?.seq ?? 0;
  holds('I5', seq >= before.seq, `the record's number went from ${before.seq} to ${seq}`);
  holds('I5', state.floor.app >= before.state.floor.app, 'the floor fell');
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
