import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { type Layout, snapshotFiles } from '../../../protocol/layout.ts';
import { restoreSnapshot } from '../../../updater/agent-data/restore.ts';
import {
  quarantineDirectory,
  readSnapshot,
  snapshotDirectory,
  takeSnapshot,
} from '../../../updater/agent-data/snapshot.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { destructiveTrial, killedAgentState, rowsIn } from '../support/state-database.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, systemError, withOperations } from '../support/wrapped-files.ts';

/** agent/ on a file system of its own, as a quota may make it: no rename leads there, or out of it. */
const tx = 7;
const rows = 40;
const diskBytes = 4 * 1024 * 1024;
const bytesMax = 64 * 1024 * 1024;
const owner = { uid: 4321, gid: 4321 };

let layout: Layout;
beforeEach(async () => {
  layout = temporaryAppliance();
  await execa('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'own', layout.agent]);
  killedAgentState(layout, rows, owner.uid);
});
afterEach(() => execa('umount', ['--lazy', layout.agent]));

const take = () => takeSnapshot(realFiles, layout, tx, bytesMax, owner);
const restore = (files: Files = realFiles, mustKeep = false) => restoreSnapshot(files, layout, tx, owner, mustKeep);
const inAgent = (name: string) => join(layout.agent, name);
const inSnapshot = (name: string) => join(snapshotDirectory(layout, tx), name);
const inQuarantine = (name: string) => join(quarantineDirectory(layout, tx), name);
const digests = () => snapshotFiles.map((name) => sha256(readFileSync(inAgent(name))));
/** Fills what is left of the file system. */
function fill(name: string): void {
  try {
    for (;;) writeFileSync(inAgent(name), Buffer.alloc(64 * 1024, 1), { flag: 'a' });
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
}
/** Nothing new can be written where the updater has its own. */
const fullUpdater = withOperations({
  create: (path, mode) => {
    if (path.startsWith(`${layout.updater}/`)) throw systemError('ENOSPC');
    return realFiles.create(path, mode);
  },
});

describe('a rollback where agent/ is a file system of its own', () => {
  it('brings every byte back, to its owner, and keeps what the trial made', () => {
    const before = digests();
    take();
    expect(() => renameSync(inSnapshot('state.db'), inAgent('other'))).toThrow(
      expect.objectContaining({ code: 'EXDEV' }),
    );
    destructiveTrial(layout);
    const ofTrial = digests();
    expect(restore().map(({ restored }) => restored)).toEqual(before);
    expect(digests()).toEqual(before);
    expect(realFiles.stat(inAgent('state.db'))).toMatchObject({ ...owner, mode: 0o600 });
    expect(snapshotFiles.map((name) => sha256(readFileSync(inQuarantine(name))))).toEqual(ofTrial);
    expect(rowsIn(inAgent('state.db'))).toBe(rows);
  });

  it('may be cut anywhere, twice, and is repeated to the same end (I8)', () => {
    const before = digests();
    let cuts = 0;
    for (let n = 1; n < 300; n += 1) {
      take();
      destructiveTrial(layout);
      const outcomes = [n, 1 + (n % 23)].map((at) => {
        try {
          restore(cutAt(at).files);
          return 'done';
        } catch (error) {
          expect(error).toBeInstanceOf(PowerCut);
          return 'cut';
        }
      });
      restore();
      expect(digests()).toEqual(before);
      expect(realFiles.list(layout.agent).filter((name) => name.endsWith('.partial'))).toEqual([]);
      if (outcomes[0] === 'done') break;
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(60);
  });

  it('gives up what the trial made where there is no room to keep it: the state comes back all the same (I11)', () => {
    const before = digests();
    take();
    destructiveTrial(layout);
    fill('state.db-wal');
    restore(fullUpdater);
    expect(digests()).toEqual(before);
    expect(realFiles.list(quarantineDirectory(layout, tx))).toEqual([]);
  });

  it.each([
    ['a directory', (path: string) => mkdirSync(join(path, 'in'), { recursive: true })],
    ['a pipe', (path: string) => execa('mkfifo', [path])],
    ['larger than any state may be', (path: string) => [writeFileSync(path, ''), truncateSync(path, 1e13)]],
  ])('takes away what is %s in the place of the state', async (_what, plant) => {
    const before = digests();
    take();
    rmSync(inAgent('state.db'));
    await plant(inAgent('state.db'));
    restore();
    expect(digests()).toEqual(before);
  });

  it('needs the room of a database that was kept aside, where there is no other', () => {
    const before = digests();
    fill('state.db.unreadable-1');
    take();
    rmSync(inAgent('state.db-wal'));
    fill('keys');
    restore();
    expect(digests()).toEqual(before);
    expect(existsSync(inAgent('state.db.unreadable-1'))).toBe(false);
  });

  it('takes the room of what the trial made beside the state, and of nothing that never goes back', () => {
    writeFileSync(inAgent('known'), 'before');
    const before = digests();
    take();
    for (const name of snapshotFiles) rmSync(inAgent(name));
    writeFileSync(inAgent('outbox.db'), 'made in the trial');
    fill('ballast');
    restore();
    expect(digests()).toEqual(before);
    const names = realFiles.list(layout.agent);
    expect(names).toEqual(expect.arrayContaining(['known', 'outbox.db']));
    expect(names).not.toContain('ballast');
  });

  it('says so where somebody left no room at all; the copy stays whole, and comes back when there is some', () => {
    const before = digests();
    take();
    for (const name of snapshotFiles) rmSync(inAgent(name));
    fill('outbox.db');
    expect(() => restore()).toThrow(expect.objectContaining({ code: 'no-room' }));
    expect(readSnapshot(realFiles, layout, tx)?.entries.map(({ found }) => found)).toEqual(Array(3).fill('copied'));
    rmSync(inAgent('outbox.db'));
    restore();
    expect(digests()).toEqual(before);
  });
});

describe('going back to data of before, where agent/ is a file system of its own', () => {
  it("puts today's data aside whole", () => {
    const before = digests();
    take();
    writeFileSync(inAgent('agent.json'), '{"site_name":"today"}\n');
    chownSync(inAgent('agent.json'), owner.uid, owner.gid);
    restore(realFiles, true);
    expect(digests()).toEqual(before);
    expect(readFileSync(inQuarantine('agent.json'), 'utf8')).toContain('today');
  });

  it('moves nothing where there is no room for it', () => {
    take();
    const today = digests();
    expect(() => restore(fullUpdater, true)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(digests()).toEqual(today);
  });
});
