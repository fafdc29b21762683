import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { counterBlock } from '../../protocol/check-in.ts';
import { syncDirectory } from '../keys.ts';

/**
 * How far a counter may go beyond its ceiling on the disk while the disk is full: a week of check-ins at the usual
 * pace.
 */
export const counterSpareMax = 10 * counterBlock;

const inOrderName = 'counters-in-order';
const beyondName = 'counters-beyond-disk';

export interface CounterMark {
  /** Was a counter taken beyond its ceiling on the disk, without a clean stop since? */
  isBeyond(): boolean;
  /**
   * Call it before the first such counter is taken.
   * @throws the system's error; then no such counter may be taken
   */
  setBeyond(): void;
  /** The ceilings on the disk are right again. */
  setInOrder(): void;
}

/**
 * A name in the data directory that says whether the ceilings on the disk can be believed. It is renamed and never
 * written: a rename needs no room, so it works on a full disk.
 */
export function counterMarkOf(data: string): CounterMark {
  const inOrder = join(data, inOrderName);
  const beyond = join(data, beyondName);
  const isBeyond = (): boolean => existsSync(beyond);
  return {
    isBeyond,
    setBeyond: () => {
      if (isBeyond()) return;
      renameSync(inOrder, beyond);
      syncDirectory(data);
    },
    setInOrder: () => {
      if (isBeyond()) renameSync(beyond, inOrder);
      else if (!existsSync(inOrder)) writeFileSync(inOrder, '', { mode: 0o600 });
      syncDirectory(data);
    },
  };
}
