import { join } from 'node:path';
import { z } from 'zod';
import { committedName, committedShape, type Seal } from '../../protocol/seal.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import {
  databaseName,
  digestFile,
  readSnapshot,
  type SnapshotIndex,
  snapshotDirectory,
} from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { readJson } from '../effects/durable.ts';
import { readSeal } from '../release/verify-slot.ts';
import { ageHOf } from '../words/age-word.ts';
import { windowAgeMs } from './window-age.ts';

/** The agent's state from before the last switch: a person can go back to it as long as the rollback window lasts. */

const markBytesMax = 256 * 1024;

export interface FormerState {
  /** The transaction of the switch: its snapshot is the data. */
  readonly tx: number;
  /** Running time since then. */
  readonly ageH: number;
}

interface Found extends FormerState {
  readonly index: SnapshotIndex;
}

function isExpected(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof z.ZodError || (error instanceof Error && 'code' in error);
}

/** What cannot be read counts as missing. */
function orNull<T>(look: () => T | null): T | null {
  try {
    return look();
  } catch (error) {
    if (isExpected(error)) return null;
    throw error;
  }
}

/**
 * The transaction that committed the running version, as the slot itself records it, whatever happened to the records.
 */
function committingTx({ files, layout }: Appliance, { slot, manifest }: StateBody['app']['committed']): number | null {
  const path = join(layout.slot('app', slot), committedName);
  const mark = committedShape.safeParse(orNull(() => readJson(files, path, markBytesMax))).data;
  return mark?.manifest === manifest ? mark.tx : null;
}

export function readsSchema(seal: Seal, schema: number): boolean {
  return schema >= seal.state.reads.min && schema <= seal.state.reads.max;
}

/** Is the copy complete, with no part put back since, and of a database that this version can read (I3)? */
function usable({ files, layout }: Appliance, index: SnapshotIndex, reader: Seal): boolean {
  const { entries, writes, tx } = index;
  if (writes === null || !readsSchema(reader, writes)) return false;
  const isWhole = entries.every((entry) => {
    if (entry.found === 'missing') return true;
    if (entry.found === 'odd') return false;
    const facts = files.stat(join(snapshotDirectory(layout, tx), entry.name));
    return facts?.kind === 'file' && facts.size === entry.size;
  });
  return isWhole && entries.some(({ name, found }) => name === databaseName && found === 'copied');
}

function find(appliance: Appliance, state: StateBody): Found | null {
  const { files, layout } = appliance;
  const { committed, previous } = state.app;
  const tx = committingTx(appliance, committed);
  const reader = previous === null ? null : readSeal(files, layout.slot('app', previous.slot));
  if (tx === null || reader === null) return null;
  const index = readSnapshot(files, layout, tx);
  if (index === null || index.tx !== tx || !usable(appliance, index, reader)) return null;
  return { tx, ageH: ageHOf(windowAgeMs(appliance, state)), index };
}

/** The data that the previous version left, if it could be put back now; null: there is none. */
export function formerStateOf(appliance: Appliance, state: StateBody): FormerState | null {
  const found = find(appliance, state);
  return found === null ? null : { tx: found.tx, ageH: found.ageH };
}

/** Checks that every byte is what was copied. Called before anything is stopped for it. */
export function isFormerStateSound(appliance: Appliance, state: StateBody): boolean {
  const { files, layout } = appliance;
  const found = find(appliance, state);
  if (found === null) return false;
  const { entries, tx } = found.index;
  const isSound = orNull(() =>
    entries.every((entry) => {
      const path = join(snapshotDirectory(layout, tx), entry.name);
      return entry.found !== 'copied' || digestFile(files, path).sha256 === entry.sha256;
    }),
  );
  return isSound === true;
}
