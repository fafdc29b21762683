import { decodeRecord } from '../../../protocol/record.ts';
import { type StateBody, statePrefixShape } from '../../../protocol/state-record.ts';
import type { Files, Handle } from '../../../updater/effects/files.ts';

/**
 * When an updater dies: `persisted`, when the row is on disk and nothing of its effect ran; `done`, when the effect ran
 * and the next row is about to be written; `torn`, in the middle of writing that next row; `operation`, before the n-th
 * change that the effect makes to the disk. `hold` does not die: it waits where `persisted` would die.
 */
export const moments = ['persisted', 'done', 'torn', 'operation', 'hold'] as const;
export type Moment = (typeof moments)[number];

export interface Plan {
  readonly row: StateBody['row'];
  readonly moment: Moment;
  /** Of `operation`: counted from 1. */
  readonly operation: number;
}

export interface KillingEffects {
  readonly files: Files;
  readonly stateRecords: readonly string[];
  /** Never returns. */
  readonly die: () => never;
  /** Returns when the test says so. */
  readonly hold: () => void;
}

function rowIn(bytes: Uint8Array): string | null {
  const parsed = statePrefixShape.safeParse(decodeRecord(bytes)?.body);
  return parsed.success ? parsed.data.row : null;
}

/** The updater's own files, with a death in them: what it does on disk says in which row it is. */
export function killingFiles(effects: KillingEffects, plan: Plan, startRow: string): Files {
  const { files, stateRecords, die, hold } = effects;
  const records = new Set<Handle>();
  let row = startRow;
  let writing: string | null = null;
  let operations = 0;
  const leaving = (next: string) => row === plan.row && next !== plan.row;
  /** Before each change to the disk. */
  const change = <Args extends unknown[], Result>(operation: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      if (plan.moment === 'operation' && row === plan.row) {
        operations += 1;
        if (operations === plan.operation) die();
      }
      return operation(...args);
    };
  };
  const write: Files['write'] = (handle, bytes, position) => {
    const next = records.has(handle) ? rowIn(bytes) : null;
    if (next !== null && leaving(next)) {
      if (plan.moment === 'torn') files.write(handle, bytes.subarray(0, bytes.length / 2), position);
      if (plan.moment === 'done' || plan.moment === 'torn') die();
    }
    writing = next ?? writing;
    files.write(handle, bytes, position);
  };
  const sync: Files['sync'] = (handle) => {
    files.sync(handle);
    if (!records.has(handle) || writing === null) return;
    const entered = writing === plan.row && row !== plan.row;
    row = writing;
    writing = null;
    if (entered && plan.moment === 'persisted') die();
    if (entered && plan.moment === 'hold') hold();
  };
  return {
    ...files,
    openWrite: (path) => {
      const handle = files.openWrite(path);
      if (stateRecords.includes(path)) records.add(handle);
      return handle;
    },
    close: (handle) => {
      records.delete(handle);
      files.close(handle);
    },
    write: change(write),
    sync: change(sync),
    create: change(files.create),
    syncDirectory: change(files.syncDirectory),
    rename: change(files.rename),
    unlink: change(files.unlink),
    removeTree: change(files.removeTree),
    makeDirectory: change(files.makeDirectory),
    setOwner: change(files.setOwner),
  };
}
