import { join } from 'node:path';
import type { z } from 'zod';
import { counterMax } from '../../protocol/bounded-step.ts';
import { type SlotName, slotShape } from '../../protocol/component.ts';
import type { Layout } from '../../protocol/layout.ts';
import { RecordError } from '../../protocol/record.ts';
import { committedName, committedShape } from '../../protocol/seal.ts';
import { type Installed, type StateBody, stateSchema, type Transaction } from '../../protocol/state-record.ts';
import { readSnapshot, snapshotDirectory } from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { backToArmed } from '../appliance/armed-state.ts';
import { readJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readHistory } from '../outcome/history.ts';
import { rewriteRecord } from '../record/record-store.ts';
import { firstState, loadState, StateError } from '../record/state-store.ts';
import { readSeal, verifyInstalled } from '../release/verify-slot.ts';
import { recoveryTexts } from '../words/texts.ts';

/**
 * The state of an appliance whose records are lost: its slots say what was committed, and in which order. An appliance
 * that has just been set up has no `.committed` anywhere; so the two are told apart, and nothing falls back to a slot
 * that was never committed (S6).
 */

const markBytesMax = 256 * 1024;
/** Transactions whose number is nowhere on the disk: the next one must have a number that none had. */
const unseenTransactions = 16;

interface Committed {
  readonly slot: SlotName;
  readonly mark: z.infer<typeof committedShape>;
  readonly installed: Installed;
}

export interface Recovered {
  readonly state: StateBody;
  /** The highest record number that the slots mention. */
  readonly seq: number;
}

/** The state, rebuilt if its record is lost. @throws StateError `state-from-the-future`, or when there is no factory */
export async function openState(appliance: Appliance): Promise<StateBody> {
  const { files, layout, events, clock, processes } = appliance;
  const armed = backToArmed(appliance);
  if (armed !== null) return armed;
  try {
    return loadState(files, layout);
  } catch (error) {
    const isLost =
      error instanceof RecordError || (error instanceof StateError && error.code !== 'state-from-the-future');
    if (!isLost) throw error;
    const recovered = recoveredState(files, layout);
    if (recovered === null) throw error;
    keepRecovered(files, layout, recovered);
    const { state } = recovered;
    const text = recoveryTexts.recordsLost(error.message, state.app.committed.version);
    appliance.log(text);
    events.add(`recovered state ${clock.bootId()} ${clock.monoMs()}`, { kind: 'note', text });
    // Without a record, launch started the factory agent on its own state.
    await processes.stopAgent();
    if (state.row === 'idle') await processes.startAgent();
    return state;
  }
}

export function keepRecovered(files: Files, layout: Layout, { state, seq }: Recovered): void {
  rewriteRecord(files, layout.stateRecords, layout.updater, stateSchema, state, seq);
}

/** The state according to the slots; null when not even factory has a readable seal. */
export function recoveredState(files: Files, layout: Layout): Recovered | null {
  const [app, updater] = [committedOf(files, layout, 'app'), committedOf(files, layout, 'updater')];
  const [factoryApp, factoryUpdater] = [
    sealed(files, layout, 'app', 'factory'),
    sealed(files, layout, 'updater', 'factory'),
  ];
  const newest = app[0]?.installed ?? factoryApp;
  const newestUpdater = updater[0]?.installed ?? factoryUpdater;
  if (newest === null || newestUpdater === null) return null;
  const first = firstState(newest, newestUpdater);
  const marks = [...app, ...updater].map(({ mark }) => mark);
  const isFirst = app.length === 0;
  const floor = isFirst ? first.floor : { app: highestFloor(marks, 'app'), updater: highestFloor(marks, 'updater') };
  const older = [
    ...app.slice(1).map(({ installed }) => installed),
    ...(isFirst || factoryApp === null ? [] : [factoryApp]),
  ];
  // The window of a version below the floor has closed.
  const previous = older.find(({ slot, manifest, securityVersion }) => {
    return (
      slot !== newest.slot &&
      securityVersion >= floor.app &&
      verifyInstalled(files, layout, 'app', slot, manifest).sound
    );
  });
  const state: StateBody = {
    ...first,
    committed: { app: newest.slot, updater: newestUpdater.slot },
    floor,
    app: { committed: newest, previous: previous ?? null },
    updater: { committed: newestUpdater, previous: null },
    lastTx: lastTxOf(files, layout, marks),
    quarantine: app[0]?.mark.quarantine ?? [],
  };
  const seq = highestOf(marks.map((mark) => mark.seq));
  return { state: withTrialInFlight(files, layout, state, app[0]?.mark.tx ?? 0), seq };
}

/** Slots that were committed, the newest first. */
function committedOf(files: Files, layout: Layout, component: 'app' | 'updater'): Committed[] {
  const found = slotShape.options.flatMap((slot): Committed[] => {
    const mark = readMark(files, join(layout.slot(component, slot), committedName));
    if (mark === null) return [];
    // Without a seal it cannot be launched; but it was committed, and that is what counts here.
    const securityVersion = sealed(files, layout, component, slot)?.securityVersion ?? mark.floor[component];
    const { version, manifest } = mark;
    return [{ slot, mark, installed: { slot, version, manifest, securityVersion } }];
  });
  return found.sort((a, b) => b.mark.tx - a.mark.tx || b.mark.seq - a.mark.seq);
}

function readMark(files: Files, path: string): Committed['mark'] | null {
  try {
    const parsed = committedShape.safeParse(readJson(files, path, markBytesMax));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

function sealed(files: Files, layout: Layout, component: 'app' | 'updater', slot: SlotName): Installed | null {
  const seal = readSeal(files, layout.slot(component, slot));
  return seal === null
    ? null
    : { slot, version: seal.version, manifest: seal.manifest, securityVersion: seal.securityVersion };
}

/** Only plausible numbers count: those after a larger one could not be read again. */
function highestOf(numbers: readonly number[]): number {
  return Math.max(0, ...numbers.filter((number) => number < counterMax - unseenTransactions));
}

/** Never lower than any commit or the end of any window said (I5). */
function highestFloor(marks: readonly Committed['mark'][], component: 'app' | 'updater'): number {
  return Math.max(0, ...marks.map(({ floor }) => floor[component]));
}

function numbersIn(files: Files, directory: string): number[] {
  return files
    .list(directory)
    .filter((name) => /^\d{1,15}$/.test(name))
    .map(Number);
}

function lastTxOf(files: Files, layout: Layout, marks: readonly Committed['mark'][]): number {
  const seen = [
    ...marks.map(({ tx }) => tx),
    ...[layout.snapshots, layout.evidence, layout.work].flatMap((directory) => numbersIn(files, directory)),
    ...readHistory(files, layout).map(({ tx }) => tx),
  ];
  const last = highestOf(seen);
  return last === 0 ? 0 : last + unseenTransactions;
}

/**
 * A complete snapshot that was not put back belongs to a switch in flight: the previous version must find its state as
 * it was, so the trial is rolled back. That says nothing about the version on trial.
 */
function withTrialInFlight(files: Files, layout: Layout, state: StateBody, committedTx: number): StateBody {
  const tx = Math.max(
    0,
    ...numbersIn(files, layout.snapshots).filter((number) => number > committedTx && isWaiting(files, layout, number)),
  );
  if (tx === 0) return state;
  const { version, manifest, slot } = state.app.committed;
  const transaction: Transaction = {
    tx,
    kind: 'update',
    component: 'app',
    version,
    manifest,
    source: { kind: 'slot', path: slot },
    waits: false,
    securityVersion: 0,
    slot: null,
    trial: { healthyMs: 0, deadlineMs: 0, tries: 1 },
    baseline: null,
    baselineServer: 'unknown',
    healthyMs: 0,
    usedMs: 0,
    fetchedMs: 0,
    downMs: 0,
    failure: { reason: 'inconclusive', text: recoveryTexts.recordsLostInTrial },
  };
  return { ...state, row: 'reverting', transaction };
}

function isWaiting(files: Files, layout: Layout, tx: number): boolean {
  const index = readSnapshot(files, layout, tx);
  return (
    index?.entries.some(
      ({ name, found }) => found === 'copied' && files.stat(join(snapshotDirectory(layout, tx), name)) !== null,
    ) ?? false
  );
}
