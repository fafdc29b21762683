import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { giveUpSpace, type ReservePlace, reserveSpace } from '../../../updater/release/reserve.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const megabyte = 1024 * 1024;
let layout: Layout;
let place: ReservePlace;
let lines: string[];
beforeEach(() => {
  layout = temporaryAppliance();
  lines = [];
  place = { files: realFiles, layout, tx: 7, log: (line) => lines.push(line) };
});
const work = () => join(layout.work, '7');
/** Bytes that the disk has set aside, by name. */
const held = () => readdirSync(work()).map((name) => [name, statSync(join(work(), name)).blocks * 512]);

describe('space of a transaction', () => {
  it('is taken from the disk before the first write, for each row that writes', () => {
    reserveSpace(place, { fetching: megabyte, writing: 3 * megabyte, snapped: 0 });
    expect(Object.fromEntries(held())).toEqual({
      'reserved.fetching': expect.toSatisfy((bytes: number) => bytes >= megabyte),
      'reserved.writing': expect.toSatisfy((bytes: number) => bytes >= 3 * megabyte),
    });
  });

  it('is given up when its row begins, and the others stay', () => {
    reserveSpace(place, { fetching: megabyte, writing: megabyte });
    giveUpSpace(place, 'fetching');
    giveUpSpace(place, 'fetching');
    expect(readdirSync(work())).toEqual(['reserved.writing']);
  });

  it('grows with what is needed, and is not taken twice', () => {
    reserveSpace(place, { snapped: megabyte });
    const { ino } = statSync(join(work(), 'reserved.snapped'));
    reserveSpace(place, { snapped: megabyte });
    expect(statSync(join(work(), 'reserved.snapped')).ino).toBe(ino);
    reserveSpace(place, { snapped: 2 * megabyte });
    expect(held()[0]?.[1]).toBeGreaterThanOrEqual(2 * megabyte);
  });

  it('that is not there is refused with both numbers, and nothing of it is taken meanwhile', () => {
    const asked: number[] = [];
    const files = withOperations({ freeBytes: () => 2 * megabyte, reserve: (_, bytes) => void asked.push(bytes) });
    const rows = { fetching: megabyte, writing: 2 * megabyte + 1 };
    expect(() => reserveSpace({ ...place, files }, rows)).toThrow(
      expect.objectContaining({ code: 'no-space', message: expect.stringContaining('2097153 bytes') }),
    );
    expect(asked).toEqual([megabyte]);
    reserveSpace({ ...place, files }, { writing: 2 * megabyte });
    expect(asked).toEqual([megabyte, 2 * megabyte]);
  });

  it('that goes meanwhile is an error, and nothing is left behind', () => {
    const files = withOperations({
      reserve: (path, bytes) => {
        realFiles.reserve(path, bytes);
        throw systemError('ENOSPC');
      },
    });
    expect(() => reserveSpace({ ...place, files }, { writing: megabyte })).toThrow(
      expect.objectContaining({ code: 'no-space' }),
    );
    expect(existsSync(join(work(), 'reserved.writing'))).toBe(false);
  });

  it('is only checked where the file system cannot reserve, and the log says so', () => {
    const files = withOperations({
      reserve: () => {
        throw systemError('EOPNOTSUPP');
      },
    });
    mkdirSync(layout.work, { recursive: true });
    reserveSpace({ ...place, files }, { writing: megabyte });
    expect(lines).toEqual([expect.stringMatching(/^no space is reserved/)]);
    expect(readdirSync(work())).toEqual([]);
  });
});
