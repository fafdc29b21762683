import { join } from 'node:path';
import type { StateBody } from '../../protocol/state-record.ts';
import { ageWord } from '../age-word.ts';
import type { Appliance } from '../appliance.ts';
import type { MachineEvent } from '../machine-event.ts';
import { transactionOf } from '../transitions.ts';
import { RestoreError, restoreTwice } from './restore.ts';
import { readSnapshot, type SnapshotIndex, snapshotDirectory } from './snapshot.ts';

/**
 * The row `returning`: the data of before takes the place of today's, of which this transaction has a whole copy. By
 * rename, so that it needs no space; launch starts nothing meanwhile, and every crash repeats it. What can not be done
 * ends in a rollback, which brings today's data back.
 */
export function putBack(appliance: Appliance, state: StateBody): MachineEvent {
  const { files, layout, settings, log } = appliance;
  const { tx, version, data } = transactionOf(state);
  if (data === undefined) throw new RangeError('no data was asked for that could be put back');
  const odd = oddEntry(readSnapshot(files, layout, tx));
  // What was not copied would not come back after a failed trial: nothing is moved then.
  if (odd !== null) return cannot(`of today's data ${odd} could not be copied`);
  try {
    const found = restoreTwice(files, layout, data.tx, settings.agentUser, log, true);
    if (found instanceof RestoreError) return cannot(`${found.message} (${found.code})`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return cannot(`${error.message} (${String(error.code)})`);
  }
  log(`${version} finds its data of ${ageWord(data.ageH)} ago`);
  return { kind: 'data-back' };
}

/** It says nothing about the version: `inconclusive` quarantines nothing. */
function cannot(why: string): MachineEvent {
  return { kind: 'failed', reason: 'inconclusive', text: `its data of before could not be put back: ${why}` };
}

function oddEntry(index: SnapshotIndex | null): string | null {
  if (index === null) return 'nothing';
  return index.entries.find(({ found }) => found === 'odd')?.name ?? null;
}

/**
 * After a rollback that is verified: an old snapshot whose files were put back is none any more. What the trial made of
 * them is in quarantine, and what it held of today's data is where it belongs.
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
