import { join } from 'node:path';
import type { StateBody } from '../../protocol/state-record.ts';
import { RestoreError, restoreTwice } from '../agent-data/restore.ts';
import { readSnapshot, type SnapshotIndex, snapshotDirectory } from '../agent-data/snapshot.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import { ageWord } from '../words/age-word.ts';
import { transactionTexts } from '../words/texts.ts';

/**
 * The row `returning`: earlier data takes the place of today's, of which this transaction has a complete copy. It works
 * by rename, so that it needs no space; meanwhile launch starts nothing, and every crash repeats it. A failure ends in
 * a rollback, which brings today's data back.
 */
export function putBack(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout, settings, log } = appliance;
  const { tx, version, data } = transactionOf(state);
  if (data === undefined) throw new RangeError('no data was asked for that could be put back');
  const odd = oddEntry(readSnapshot(files, layout, tx));
  // What was not copied could not be restored after a failed trial, so nothing is moved.
  if (odd !== null) return cannot(transactionTexts.todayNotCopied(odd));
  try {
    const found = restoreTwice(files, layout, data.tx, settings.agentUser, log, true);
    if (found instanceof RestoreError) return cannot(`${found.message} (${found.code})`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return cannot(`${error.message} (${String(error.code)})`);
  }
  log(transactionTexts.findsData(version, ageWord(data.ageH)));
  return { kind: 'data-back' };
}

/** A failure says nothing about the version: `inconclusive` quarantines nothing. */
function cannot(why: string): MachineEvent {
  return { kind: 'failed', reason: 'inconclusive', text: transactionTexts.notPutBack(why) };
}

function oddEntry(index: SnapshotIndex | null): string | null {
  if (index === null) return transactionTexts.noCopy;
  return index.entries.find(({ found }) => found === 'odd')?.name ?? null;
}

/**
 * After a verified rollback: an old snapshot whose files were put back no longer is a snapshot. What the trial made of
 * them is in quarantine, and the part of it that belongs to today's data is back in its place.
 */
export function giveUpUsed({ files, layout }: Appliance, tx: number): void {
  const index = readSnapshot(files, layout, tx);
  const isUsed = index?.entries.some(
    ({ name, found }) => found === 'copied' && files.stat(join(snapshotDirectory(layout, tx), name)) === null,
  );
  if (isUsed !== true) return;
  files.removeTree(snapshotDirectory(layout, tx));
  files.syncDirectory(layout.snapshots);
}
