import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemFiles } from '../../agent/effects/files.ts';
import { makeRoom } from '../../agent/make-room.ts';
import { ApplianceConfig } from '../../agent/settings.ts';

const ours = ['agent.json', 'keys', 'outbox.db', 'outbox.db-wal', 'state.db', 'state.db-shm', 'state.db-wal'];
const foreign = ['ballast', 'deep', 'state.db.unreadable-1'];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hfa-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['keys', 'deep/er/still']) mkdirSync(join(directory, name), { recursive: true });
  for (const name of [...ours, ...foreign]) {
    if (name !== 'keys' && name !== 'deep') writeFileSync(join(directory, name), name);
  }
});

/** A disk that says so much is free. */
async function makeRoomWith(freeBytes: number | null): Promise<string[]> {
  const lines: string[] = [];
  const say = (_: object, text: string) => void lines.push(text);
  const space = () => Promise.resolve(freeBytes === null ? null : { freeBytes, volatile: false });
  await makeRoom({ ...systemFiles, space }, directory, { info: say, warn: say, error: say });
  return lines;
}

describe('room', () => {
  it('is made by what no version keeps, and by nothing else, and that is said', async () => {
    expect(await makeRoomWith(1_000)).toHaveLength(1);
    expect(readdirSync(directory).sort()).toEqual(ours);
  });

  it.each([
    ['there is enough', 100_000_000],
    ['nobody knows how much there is', null],
  ])('is not made where %s', async (_, freeBytes) => {
    expect(await makeRoomWith(freeBytes)).toEqual([]);
    expect(new Set(readdirSync(directory))).toEqual(new Set([...ours, ...foreign]));
  });
});

describe('the interval between two readings', () => {
  it.each([
    [200, 200],
    [20_000, 20_000],
    [60_000, 20_000],
  ])('of %i ms is kept as %i ms, so that work does not stand still as a trial sees it', (asked, kept) => {
    expect(new ApplianceConfig({ intervalMs: asked })).toMatchObject({ intervalMs: kept, problems: [] });
  });
});
