import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../../protocol/digest.ts';
import { type Layout, snapshotFiles } from '../../../protocol/layout.ts';
import { committedName } from '../../../protocol/seal.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { snapshotDirectory, takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { answerToRollback } from '../../../updater/choice/going-back.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { sealedSlot } from './sealed-slot.ts';
import { destructiveTrial, killedAgentState } from './state-database.ts';
import { events, idleState } from './states.ts';
import { temporaryAppliance } from './temporary-appliance.ts';
import { testAppliance } from './test-appliance.ts';

export const hourMs = 60 * 60_000;
export const bytesMax = 64 * 1024 * 1024;
export const rows = 40;
/** The transaction that switched to 1.0.49, and the one that goes back. */
export const switched = 6;
export const returned = 7;
export const named = { tx: switched, ageH: 120 };
export const state: StateBody = idleState({ windowUsedMs: 125 * hourMs });

export type Digests = readonly (string | null)[];

export function digestsIn(directory: string): Digests {
  return snapshotFiles.map((name) => {
    const path = join(directory, name);
    return existsSync(path) ? sha256(readFileSync(path)) : null;
  });
}

/** 1.0.49 rewrote the state five days ago, so that 1.0.48 cannot read it any more; the copy of before is there. */
export class RewrittenAppliance {
  readonly layout: Layout = temporaryAppliance();
  /** Digests of the files of the state, as they were before the switch and as they are today. */
  readonly before: Digests;
  readonly today: Digests;

  constructor() {
    const { layout } = this;
    realFiles.makeDirectory(layout.run, 0o755);
    const { committed, previous } = state.app;
    const { version, manifest } = committed;
    sealedSlot(layout, 'app', '0', { version: '1.0.48', manifest: previous?.manifest ?? '' });
    const reads = { reads: { min: 1, max: 2 }, writes: 2 };
    const slot = sealedSlot(layout, 'app', '1', { version, manifest, state: reads });
    const mark = { seq: 1, tx: switched, version, manifest, floor: state.floor, quarantine: [] };
    writeFileSync(join(slot, committedName), JSON.stringify(mark));
    killedAgentState(layout, rows);
    this.before = digestsIn(layout.agent);
    takeSnapshot(realFiles, layout, switched, bytesMax, null, 1);
    destructiveTrial(layout);
    this.today = digestsIn(layout.agent);
  }

  inCopy(name: string): string {
    return join(snapshotDirectory(this.layout, switched), name);
  }

  ask(data?: { tx: number; ageH: number }, from = state, manifest?: string) {
    return answerToRollback(testAppliance(this.layout).appliance, from, { data, manifest });
  }

  /** In the row `returning`, with the copy of today's state that the row before it made. */
  returning(): StateBody {
    const { event } = this.ask(named);
    if (event === null) throw new Error('it was refused');
    const way = ['clear', 'agent-gone', 'snapshot-done'] as const;
    const there = way.reduce((at, kind) => next(at, events[kind]), next(state, event));
    takeSnapshot(realFiles, this.layout, returned, bytesMax, null, 2);
    return there;
  }
}
