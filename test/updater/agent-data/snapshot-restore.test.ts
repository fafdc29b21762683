import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { snapshotFiles } from '../../../protocol/layout.ts';
import { restoreSnapshot, verifyRestored } from '../../../updater/agent-data/restore.ts';
import {
  quarantineDirectory,
  readSnapshot,
  snapshotDirectory,
  takeSnapshot,
} from '../../../updater/agent-data/snapshot.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { destructiveTrial, killedAgentState, rowsIn } from '../support/state-database.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, recordFiles } from '../support/wrapped-files.ts';

const tx = 7;
const bytesMax = 64 * 1024 * 1024;
const rows = 40;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  killedAgentState(layout, rows);
});

const take = (files: Files = realFiles) => takeSnapshot(files, layout, tx, bytesMax, null);
const restore = (files: Files = realFiles) => restoreSnapshot(files, layout, tx, null);
const inAgent = (name: string) => join(layout.agent, name);
const inSnapshot = (name: string) => join(snapshotDirectory(layout, tx), name);
const inQuarantine = (name: string) => join(quarantineDirectory(layout, tx), name);
const digests = () => snapshotFiles.map((name) => sha256(readFileSync(inAgent(name))));

describe('a snapshot', () => {
  it('is the bytes of the listed files, with their digests, and leaves the originals alone', () => {
    const before = digests();
    const { entries } = take();
    expect(entries.map((entry) => entry.found === 'copied' && entry.sha256)).toEqual(before);
    expect(digests()).toEqual(before);
    expect(snapshotFiles.map((name) => sha256(readFileSync(inSnapshot(name))))).toEqual(before);
  });

  it('never copies what is not listed: keys, outbox and shared memory', () => {
    for (const name of ['state.db-shm', 'outbox.db', 'keys']) writeFileSync(inAgent(name), 'x');
    take();
    expect(realFiles.list(snapshotDirectory(layout, tx))).toEqual([
      'agent.json',
      'done.json',
      'state.db',
      'state.db-wal',
      'trial',
    ]);
  });

  it('is done only after every copy and every name is synced', () => {
    const { files, lines } = recordFiles();
    take(files);
    const done = lines.indexOf(`rename ${inSnapshot('done.json')}.tmp ${inSnapshot('done.json')}`);
    for (const name of snapshotFiles) {
      expect(lines.indexOf(`sync ${inSnapshot(name)}`)).toBeGreaterThan(lines.lastIndexOf(`write ${inSnapshot(name)}`));
      expect(lines.indexOf(`sync ${inSnapshot(name)}`)).toBeLessThan(done);
    }
    const names = lines.indexOf(`syncDirectory ${snapshotDirectory(layout, tx)}`);
    expect(names).toBeGreaterThan(0);
    expect(names).toBeLessThan(done);
    expect(lines.lastIndexOf(`syncDirectory ${snapshotDirectory(layout, tx)}`)).toBeGreaterThan(done);
  });

  it('replaces what an earlier run left of itself', () => {
    take();
    writeFileSync(inSnapshot('left-over'), 'x');
    killedAgentStateAgain();
    expect(take().entries.map(({ found }) => found)).toEqual(['copied', 'copied', 'copied']);
    expect(existsSync(inSnapshot('left-over'))).toBe(false);
  });

  it('works without a write-ahead log', () => {
    rmSync(inAgent('state.db-wal'));
    expect(take().entries[1]).toEqual({ name: 'state.db-wal', found: 'missing' });
  });

  function killedAgentStateAgain(): void {
    for (const name of realFiles.list(layout.agent)) rmSync(inAgent(name));
    killedAgentState(layout, rows + 1);
  }
});

describe('a restored snapshot', () => {
  it('is byte for byte what it was, with every row, after a destructive trial (I4)', () => {
    const before = digests();
    take();
    destructiveTrial(layout);
    expect(() => rowsIn(inAgent('state.db'))).toThrow('no such table');
    restore();
    expect(digests()).toEqual(before);
    expect(rowsIn(inAgent('state.db'))).toBe(rows);
  });

  it('has nothing of the trial beside it: log and shared memory are in quarantine', () => {
    take();
    destructiveTrial(layout);
    writeFileSync(inAgent('state.db-journal'), 'hot');
    const trial = ['state.db', 'state.db-wal', 'state.db-shm', 'state.db-journal', 'agent.json'];
    const left = trial.map((name) => sha256(readFileSync(inAgent(name))));
    restore();
    expect(['state.db-shm', 'state.db-journal'].map((name) => existsSync(inAgent(name)))).toEqual([false, false]);
    expect(trial.map((name) => sha256(readFileSync(inQuarantine(name))))).toEqual(left);
  });

  it('has no log when there was none, though the trial left one', () => {
    rmSync(inAgent('state.db-wal'));
    take();
    writeFileSync(inAgent('state.db-wal'), 'the frames of another version');
    restore();
    expect(existsSync(inAgent('state.db-wal'))).toBe(false);
    expect(rowsIn(inAgent('state.db'))).toBe(0);
  });

  it('takes the place of whatever the trial made of the names', () => {
    take();
    const before = digests();
    for (const name of snapshotFiles) {
      rmSync(inAgent(name));
      cpSync(import.meta.dirname, inAgent(name), { recursive: true });
    }
    restore();
    expect(digests()).toEqual(before);
  });

  it('needs no file to be written: there is nothing that a full disk could stop (I11)', () => {
    take();
    destructiveTrial(layout);
    const { files, lines } = recordFiles();
    restore(files);
    const growing = new Set(['create', 'write', 'openWrite', 'makeDirectory', 'link']);
    const made = lines.filter((line) => growing.has(line.split(' ')[0] ?? ''));
    expect(made.filter((line) => line !== `makeDirectory ${quarantineDirectory(layout, tx)}`)).toEqual([]);
    expect(lines.filter((line) => line.startsWith('read '))).not.toEqual([]);
  });

  it('may be asked for again, as often as the power fails', () => {
    const before = digests();
    take();
    destructiveTrial(layout);
    for (let i = 0; i < 20; i += 1) restore();
    expect(digests()).toEqual(before);
  });

  it.each([
    ['no JSON', () => writeFileSync(inSnapshot('done.json'), '{"x')],
    ['another shape', () => writeFileSync(inSnapshot('done.json'), '[]')],
    ['too large', () => writeFileSync(inSnapshot('done.json'), ' '.repeat(20_000))],
    [
      'a directory',
      () => {
        rmSync(inSnapshot('done.json'));
        mkdirSync(inSnapshot('done.json'));
      },
    ],
  ])('is called missing, and stops nothing, when its mark is %s', (_what, damage) => {
    take();
    damage();
    expect(readSnapshot(realFiles, layout, tx)).toBeNull();
    expect(() => restore()).toThrow(expect.objectContaining({ code: 'snapshot-missing' }));
    expect(existsSync(inSnapshot('state.db'))).toBe(true);
  });

  it('is missing when the snapshot was not done', () => {
    expect(() => restore()).toThrow(expect.objectContaining({ code: 'snapshot-missing' }));
    take();
    rmSync(inSnapshot('done.json'));
    expect(() => restore()).toThrow(expect.objectContaining({ code: 'snapshot-missing' }));
  });
});

describe('a changed byte is caught before any agent starts', () => {
  const differs = expect.objectContaining({ code: 'restored-differs' });
  const flip = (path: string) => {
    const bytes = readFileSync(path);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };

  it.each(snapshotFiles)('in the copy of %s', (name) => {
    take();
    flip(inSnapshot(name));
    expect(() => restore()).toThrow(differs);
  });

  it.each(snapshotFiles)('in the restored %s', (name) => {
    take();
    restore();
    flip(inAgent(name));
    expect(() => restore()).toThrow(differs);
  });

  it.each(['state.db-shm', 'state.db-journal'])('and so is a %s that is still beside it', (name) => {
    const index = take();
    restore();
    writeFileSync(inAgent(name), 'x');
    expect(() => verifyRestored(realFiles, layout, index, null)).toThrow(differs);
  });

  it('and so is a log where none belongs', () => {
    rmSync(inAgent('state.db-wal'));
    const index = take();
    restore();
    writeFileSync(inAgent('state.db-wal'), 'x');
    expect(() => verifyRestored(realFiles, layout, index, null)).toThrow(differs);
  });

  it('and so is a file that was lost', () => {
    const index = take();
    restore();
    rmSync(inAgent('agent.json'));
    expect(() => verifyRestored(realFiles, layout, index, null)).toThrow(differs);
  });
});

describe('when the power goes at any operation', () => {
  /** More than either step has operations. */
  const operationsMax = 400;

  /** Cuts at each operation in turn, each time on a copy of the same disk. Returns at how many it was cut. */
  function atEachOperation(step: (files: Files) => void, check: () => void): number {
    const disk = `${layout.root}-disk`;
    cpSync(layout.root, disk, { recursive: true });
    try {
      for (let n = 1; n < operationsMax; n += 1) {
        rmSync(layout.root, { recursive: true });
        cpSync(disk, layout.root, { recursive: true });
        const cut = cutAt(n);
        try {
          step(cut.files);
          return n - 1;
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
        }
        check();
      }
    } finally {
      rmSync(disk, { recursive: true, force: true });
    }
    throw new Error(`more than ${operationsMax} operations`);
  }

  it('while it is taken, it is whole or not there, and the next run takes it', () => {
    const before = digests();
    const cuts = atEachOperation(take, () => {
      expect(digests()).toEqual(before);
      const index = readSnapshot(realFiles, layout, tx);
      if (index !== null) expect(snapshotFiles.map((name) => sha256(readFileSync(inSnapshot(name))))).toEqual(before);
      take();
      destructiveTrial(layout);
      restore();
      expect(digests()).toEqual(before);
    });
    expect(cuts).toBeGreaterThan(30);
  });

  it('while it is restored, the next run ends restored and verified, and the trial is in quarantine (I8)', () => {
    const before = digests();
    take();
    destructiveTrial(layout);
    const trial = sha256(readFileSync(inAgent('state.db')));
    const cuts = atEachOperation(restore, () => {
      restore();
      expect(digests()).toEqual(before);
      expect(sha256(readFileSync(inQuarantine('state.db')))).toBe(trial);
      expect(rowsIn(inAgent('state.db'))).toBe(rows);
    });
    expect(cuts).toBeGreaterThan(30);
  });

  it('again and again while it is restored, it ends restored', () => {
    const before = digests();
    take();
    destructiveTrial(layout);
    for (let n = 1; n < operationsMax; n += 1) {
      try {
        restore(cutAt(n).files);
        expect(digests()).toEqual(before);
        return;
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
    }
    expect.unreachable('it never ended');
  });
});
