import { join } from 'node:path';
import { slotShape } from '../../protocol/component.ts';
import type { Layout } from '../../protocol/layout.ts';
import { launchBodyShape, type StateBody } from '../../protocol/state-record.ts';
import { putAsideDirectory } from '../../updater/agent-data/snapshot.ts';
import { readFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { launch, launchCount } from '../../updater/launch/count.ts';
import { knownRecord, readRecord } from '../../updater/record/record-store.ts';
import { loadState } from '../../updater/record/state-store.ts';
import { readSeal, verifyInstalled } from '../../updater/release/verify-slot.ts';
import type { Kind } from './kinds.ts';
import { type ModelAgent, readData } from './model-agent.ts';
import { originalData, outboxText } from './model-appliance.ts';
import { dataOfToday } from './scenes.ts';

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

interface Look {
  readonly files: Files;
  readonly kind: Kind;
  readonly before: Before;
  readonly agent: Pick<ModelAgent, 'unreadable' | 'stops'>;
  readonly state: StateBody;
  holds(number: string, is: boolean, sentence: string): void;
}

/** The invariants of ARCHITECTURE.md, each with its number; checked on a disk at rest. @returns the sentences that are broken */
export function brokenInvariants(files: Files, kind: Kind, before: Before, agent: Look['agent']): string[] {
  const broken: string[] = [];
  const holds: Look['holds'] = (number, is, sentence) => {
    if (!is) broken.push(`${number}: ${sentence}`);
  };
  const look = { files, kind, before, agent, state: loadState(files, kind.around.layout), holds };
  for (const check of [launched, launchedUpdater, readable, neverBack, decided]) check(look);
  return broken;
}

/** I1, I2, I9: what is started now, and at any later boot. */
function launched({ files, kind: { around, maySafe }, state, holds }: Look): void {
  const { layout } = around;
  const { committed, previous } = state.app;
  const [slot, ...later] = ['look', 'another boot', 'one more', 'and one more'].map((boot) => {
    const start = launchCount({ files, bootId: () => boot, monoMs: () => 0 }, layout, 'app');
    return start.outcome === 'chosen' ? start.slot : null;
  });
  const isSafe = state.row === 'safe';
  const isWhole = typeof slot === 'string' && verifyInstalled(files, layout, 'app', slotShape.parse(slot)).sound;
  holds('I1', isWhole || (isSafe && maySafe), `launch starts ${slot ?? 'nothing'}, which is not whole`);
  holds('I1', !isSafe || maySafe, 'an appliance whose disk lost nothing that was synced is in safe mode');
  const isPreviousWhole = previous === null || verifyInstalled(files, layout, 'app', previous.slot).sound;
  holds('I1', isPreviousWhole || maySafe, `the version before, ${previous?.version}, is not whole`);
  const rightful = isSafe ? 'factory' : committed.slot;
  holds('I2', slot === rightful, `launch starts slot ${slot}, and ${committed.slot} is committed`);
  const isSame = later.every((one) => one === slot);
  holds('I9', isSame, `further boots start ${later.join()}`);
}

/** I1, I2, I6, I10, of the updater: there is always one, it is whole, and it was committed. */
function launchedUpdater({ files, kind: { around, mayCommitUpdater }, state, holds }: Look): void {
  const { layout } = around;
  const { committed } = state.updater;
  const boot = { files, bootId: () => 'look at the updater', monoMs: () => 0 };
  const start = launch(boot, layout, 'updater', 'point');
  const slot = start.outcome === 'chosen' ? slotShape.parse(start.slot) : null;
  holds('I10', slot !== null, 'launch starts no updater');
  holds(
    'I1',
    slot === null || verifyInstalled(files, layout, 'updater', slot).sound,
    `updater slot ${slot} is not whole`,
  );
  holds('I2', slot === committed.slot, `launch starts updater slot ${slot}, and ${committed.slot} is committed`);
  holds('I6', mayCommitUpdater.includes(committed.version), `updater ${committed.version} is committed`);
  holds('I8', files.stat(layout.armedState) === null, 'the armed state of a trial is left behind');
}

/** I3, I4: the data. */
function readable({ files, kind, agent, state, holds }: Look): void {
  const { layout } = kind.around;
  const { committed } = state.app;
  holds('I3', agent.unreadable.length === 0, agent.unreadable.join(', '));
  const data = readData(files, layout.stateDb);
  const reads = readSeal(files, layout.slot('app', committed.slot))?.state.reads;
  const isReadable = data !== null && reads !== undefined && data.schema <= reads.max;
  holds('I3', isReadable, `${committed.version} cannot read schema ${data?.schema}`);
  const gaveUp = kind.givesUpFor === committed.version;
  const expected = kind.givesUpFor === null || gaveUp ? originalData : dataOfToday;
  holds('I4', data?.data === expected, `the data is ${data?.data ?? 'gone'}`);
  // What a person gave up is not lost: it is where history says.
  const kept = gaveUp ? putAsideData(files, layout) : data;
  holds('I4', !gaveUp || kept?.data === dataOfToday, `what was put aside is ${kept?.data ?? 'gone'}`);
  const stops = kept?.stops ?? 0;
  holds('I4', stops >= agent.stops, `of ${agent.stops} stops that were written down ${stops} are there`);
}

function putAsideData(files: Files, layout: Layout): ReturnType<typeof readData> {
  const paths = files.list(layout.snapshots).map((name) => join(putAsideDirectory(layout, Number(name)), 'state.db'));
  const found = paths.find((path) => files.stat(path) !== null);
  return found === undefined ? null : readData(files, found);
}

/** I5: what never goes back. */
function neverBack({ files, kind, before, state, holds }: Look): void {
  const { layout } = kind.around;
  const { committed, previous } = state.app;
  const outbox = readFile(files, layout.outboxDb, 100_000)?.toString('utf8');
  holds('I5', outbox === outboxText, 'the outbox is another one');
  const seq = readRecord(files, layout.stateRecords)?.seq ?? 0;
  holds('I5', seq >= before.seq, `the record's number went from ${before.seq} to ${seq}`);
  holds('I5', state.floor.app >= before.state.floor.app, 'the floor fell');
  const lowest = Math.min(committed.securityVersion, previous?.securityVersion ?? committed.securityVersion);
  holds('I5', state.floor.app <= lowest, 'the floor forbids a version that is kept');
  holds('I5', state.lastTx >= before.state.lastTx, 'a transaction number is given twice');
  const forgotten = before.state.quarantine.filter(
    ({ manifest }) => !state.quarantine.some((entry) => entry.manifest === manifest),
  );
  holds('I5', forgotten.length === 0, 'a quarantine is forgotten');
}

/** I6, I7, I8, I12: what was decided. */
function decided({ files, kind: { around, mayCommit }, before, state, holds }: Look): void {
  const { committed } = state.app;
  holds('I6', mayCommit.includes(committed.version), `${committed.version} is committed`);
  const strangers = sealedManifests(files, around.layout).filter((manifest) => !around.released.includes(manifest));
  holds('I7', strangers.length === 0, `sealed, and never released: ${strangers.join()}`);
  holds('I8', state.transaction === null, `a transaction is left in ${state.row}`);
  const isQuarantined = state.quarantine.some(({ manifest }) => manifest === committed.manifest);
  const wasThere = before.state.app.committed.manifest === committed.manifest;
  holds('I12', !isQuarantined || wasThere, 'what is in quarantine is committed');
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
