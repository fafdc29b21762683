import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { takeLock } from '../../../updater/appliance/lock.ts';

/** The data partition, as a small tmpfs of its own, so that it can be filled to its last byte; mounting one takes root. */
const diskBytes = 256 * 1024;
let disk: string;
let layout: Layout;

beforeEach(async () => {
  disk = mkdtempSync(join(tmpdir(), 'hf-lock-full-'));
  await execa('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'data', disk]);
  layout = layoutOf(disk);
  mkdirSync(layout.updater, { mode: 0o700 });
});
afterEach(async () => {
  await execa('umount', [disk]);
  rmSync(disk, { recursive: true });
});

function fill(): void {
  for (let n = 0, bytes = 64 * 1024; bytes >= 1; n += 1) {
    try {
      writeFileSync(join(disk, `filling-${n}`), Buffer.alloc(bytes, 1));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      bytes = Math.floor(bytes / 2);
    }
  }
}

it.each(['as it was made', 'as a version before made it, empty'])(
  'a full disk keeps no updater from its lock (%s)',
  (how) => {
    takeLock(layout)?.release();
    if (how !== 'as it was made') truncateSync(layout.lock);
    fill();
    for (let run = 0; run < 2; run += 1) {
      const lock = takeLock(layout);
      expect(lock).not.toBeNull();
      // And nobody else gets it meanwhile.
      expect(takeLock(layout)).toBeNull();
      lock?.release();
    }
  },
);
