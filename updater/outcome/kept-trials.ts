import { join } from 'node:path';
import { z } from 'zod';
import { evidenceSummary } from '../../protocol/evidence.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Quarantined } from '../../protocol/state-record.ts';
import type { TransactionLine } from '../../protocol/status.ts';
import { putAsideDirectory, quarantineDirectory, snapshotDirectory } from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';
import { sentence } from '../words/sentence.ts';
import { outcomeTexts } from '../words/texts.ts';
import { readHistory } from './history.ts';
import { keptEvidence } from './kept-evidence.ts';

/**
 * The data that failed trials left, and the data that a person put aside for older data: kept for people, limited in
 * number and age.
 */

/** Older data is removed; data of trials is also removed by a commit and at the end of a rollback window. */
export const trialsKeptMax = 3;
/** Days of running: there is no clock here that knows calendar days. */
export const trialsKeptDays = 30;
const dayMs = 24 * 60 * 60_000;
/** Ages are put on disk once per this much new time, not at every run. */
const saveEveryMs = 60 * 60_000;
const bytesMax = 4_000;

/** Kept in run/: only time between consecutive runs of one boot counts. */
const lookShape = z.object({ boot: z.string(), atMs: z.number() });
const agesShape = z.record(z.string(), z.number());

const isNumber = (name: string) => /^\d+$/.test(name);

/** Was this snapshot used up by a person who went back to it? Then it holds the data that was put aside for it. */
export function isPutAside(files: Files, layout: Layout, name: string): boolean {
  return isNumber(name) && files.list(putAsideDirectory(layout, Number(name))).length > 0;
}

/** Transactions that left data to look at, the oldest first. */
function kept(files: Files, layout: Layout): string[] {
  const isTrial = (name: string) => files.list(quarantineDirectory(layout, Number(name))).length > 0;
  return files
    .list(layout.snapshots)
    .filter((name) => isNumber(name) && (isTrial(name) || isPutAside(files, layout, name)))
    .sort((a, b) => Number(a) - Number(b));
}

/**
 * At the commit of a return to older data: the replaced data was not made by a trial, and is kept longer. By rename, so
 * that it needs no space; may be repeated.
 */
export function putAside(files: Files, layout: Layout, tx: number): void {
  const [from, to] = [quarantineDirectory(layout, tx), putAsideDirectory(layout, tx)];
  if (files.stat(to) !== null || files.list(from).length === 0) return;
  files.rename(from, to);
  files.syncDirectory(snapshotDirectory(layout, tx));
}

/** Removes the oldest kept data. A snapshot that something may still go back to holds no data of a trial. */
export function pruneTrials(files: Files, layout: Layout): void {
  for (const name of kept(files, layout).slice(0, -trialsKeptMax)) files.removeTree(join(layout.snapshots, name));
}

/** Counts how long each is kept, in running time of this appliance, and removes what is too old. */
export function ageTrials({ files, layout, clock, log }: Appliance): void {
  const names = kept(files, layout);
  const path = join(layout.updater, 'trial-ages.json');
  if (names.length === 0) {
    files.unlink(path);
    return;
  }
  const lookPath = join(layout.run, 'trial-ages.json');
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  const look = readKept(files, lookPath, bytesMax, lookShape);
  const passedMs = look?.boot === now.boot ? Math.max(0, now.atMs - look.atMs) : 0;
  if (look?.boot === now.boot && passedMs < saveEveryMs) return;
  replaceJson(files, lookPath, now, 0o600);
  const before = readKept(files, path, bytesMax, agesShape) ?? {};
  const ages = Object.fromEntries(names.map((name) => [name, (before[name] ?? 0) + passedMs]));
  whereThereIsRoom(() => replaceJson(files, path, ages, 0o600));
  for (const [name, ageMs] of Object.entries(ages)) {
    if (ageMs < trialsKeptDays * dayMs) continue;
    const what = isPutAside(files, layout, name) ? outcomeTexts.putAsideData(name) : outcomeTexts.trialData(name);
    log(outcomeTexts.removedByAge(what, trialsKeptDays));
    files.removeTree(join(layout.snapshots, name));
  }
}

/** The history's line of a rollback after a trial. */
export function lineOf(
  history: readonly TransactionLine[],
  rolledBack: Quarantined | undefined,
): TransactionLine | null {
  if (rolledBack?.reason !== 'trial') return null;
  return history.findLast(({ to, outcome }) => to === rolledBack.version && outcome === 'rolled-back') ?? null;
}

/** Where a person finds what an abandoned version left: its data, and its last output. */
export function keptOf(appliance: Appliance, left: Quarantined | undefined): string | null {
  if (left === undefined) return null;
  return left.reason === 'trial' ? keptOfTrial(appliance, left) : keptAside(appliance);
}

function keptOfTrial({ files, layout }: Appliance, left: Quarantined): string | null {
  const line = lineOf(readHistory(files, layout), left);
  if (line === null) return null;
  const evidence = join(layout.evidence, String(line.tx));
  const data = quarantineDirectory(layout, line.tx);
  const seen = keptEvidence(files, layout, line.tx);
  const summary = seen === null ? '' : evidenceSummary(seen);
  const places = [
    ...(files.list(data).length > 0 ? [outcomeTexts.dataKept(data)] : []),
    ...(files.stat(evidence) === null ? [] : [outcomeTexts.saidLast(evidence)]),
  ];
  const where = places.join(', and ');
  if (summary === '' || where === '') return where === '' ? null : where;
  return `${summary} ${sentence(where)}`;
}

function keptAside({ files, layout }: Appliance): string | null {
  const newest = kept(files, layout).findLast((name) => isPutAside(files, layout, name));
  return newest === undefined ? null : outcomeTexts.putAsideKept(putAsideDirectory(layout, Number(newest)));
}
