import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { type Layout, layoutOf, snapshotFiles } from '../../../protocol/layout.ts';
import { restoreSnapshot } from '../../../updater/agent-data/restore.ts';
import { takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { destructiveTrial, killedAgentState } from '../support/state-database.ts';

/** What an agent may do to its own directory, and no transaction may notice. On tmpfs: a million files take a while elsewhere. */
const tx = 7;
const bytesMax = 16 * 1024 * 1024;
let layout: Layout;
let root: string;
beforeEach(() => {
  root = mkdtempSync('/dev/shm/holdfast-crowded-');
  layout = layoutOf(root);
  for (const path of [layout.updater, layout.agent]) mkdirSync(path, { recursive: true });
  killedAgentState(layout, 3);
});
afterEach(() => rmSync(root, { recursive: true }));

const digests = () => snapshotFiles.map((name) => sha256(readFileSync(join(layout.agent, name))));
const restore = () => restoreSnapshot(realFiles, layout, tx, null);

describe('the directory of the agent', () => {
  it('with a million files is copied and put back as fast as with three', () => {
    const copied = () => {
      const startedMs = performance.now();
      takeSnapshot(realFiles, layout, tx, bytesMax, null);
      destructiveTrial(layout);
      restore();
      return performance.now() - startedMs;
    };
    const before = digests();
    const aloneMs = copied();
    expect(digests()).toEqual(before);
    for (let n = 0; n < 1_000_000; n += 1) closeSync(openSync(join(layout.agent, `${n}`), 'w'));
    const crowdedMs = copied();
    expect(digests()).toEqual(before);
    // Listing a million names alone takes longer than this.
    expect(crowdedMs).toBeLessThan(aloneMs * 3 + 100);
  });

  it.each([
    ['nothing of SQLite', Buffer.from('not a database at all')],
    ['a header and then noise', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8_192, 0xa5)])],
    ['nothing', Buffer.alloc(0)],
  ])('with a database that holds %s comes back byte for byte: nobody opens it', (_what, bytes) => {
    writeFileSync(layout.stateDb, bytes);
    const before = digests();
    const { entries } = takeSnapshot(realFiles, layout, tx, bytesMax, null);
    expect(entries.map(({ found }) => found)).toEqual(['copied', 'copied', 'copied']);
    writeFileSync(layout.stateDb, 'of the trial');
    restore();
    expect(digests()).toEqual(before);
    expect(statSync(layout.stateDb).size).toBe(bytes.length);
  });
});
