import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { restoreSnapshot } from '../../../updater/agent-data/restore.ts';
import { snapshotDirectory, stateBytes, takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

/** A state that looks large and is not: an agent can make one within any quota. */
const tx = 3;
const bytesMax = 64 * 1024 * 1024;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});

/** Pieces at their places, and the whole so long; the rest are holes. */
function sparse(pieces: Readonly<Record<number, string>>, size: number): void {
  const handle = openSync(layout.stateDb, 'w');
  for (const [at, text] of Object.entries(pieces)) writeSync(handle, Buffer.from(text), 0, text.length, Number(at));
  ftruncateSync(handle, size);
  closeSync(handle);
}

const shapes: readonly { what: string; pieces: Readonly<Record<number, string>>; size: number }[] = [
  { what: 'with a piece at its beginning', pieces: { 0: 'head' }, size: 50_000_000 },
  { what: 'with a piece at its end', pieces: { 49999996: 'tail' }, size: 50_000_000 },
  {
    what: 'with pieces across the edges of what is read at once',
    pieces: { 1048574: 'edge', 4094: 'page' },
    size: 5_000_001,
  },
  { what: 'that is nothing but a hole', pieces: {}, size: 3_000_000 },
  {
    what: 'with a byte in every megabyte',
    pieces: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i << 20, 'x'])),
    size: 41 << 20,
  },
  { what: 'without a byte', pieces: {}, size: 0 },
];

describe('a state', () => {
  it.each(shapes)('$what is copied as it is, in no more room than it has, and comes back', ({ pieces, size }) => {
    sparse(pieces, size);
    const before = readFileSync(layout.stateDb);
    const needed = stateBytes(realFiles, layout, bytesMax, null);
    expect(needed).toBeLessThanOrEqual(Math.max(size / 5, 200_000));
    const { entries } = takeSnapshot(realFiles, layout, tx, bytesMax, null);
    const copy = join(snapshotDirectory(layout, tx), 'state.db');
    expect(entries[0]).toEqual({ name: 'state.db', found: 'copied', size, sha256: sha256(before) });
    expect(readFileSync(copy).equals(before)).toBe(true);
    expect(statSync(copy).blocks * 512).toBeLessThanOrEqual(needed);
    truncateSync(layout.stateDb, 0);
    restoreSnapshot(realFiles, layout, tx, null);
    expect(readFileSync(layout.stateDb).equals(before)).toBe(true);
  });
});
