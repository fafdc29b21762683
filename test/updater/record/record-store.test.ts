import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { encodeRecord, recordSize } from '../../../protocol/record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { createRecordFiles, readRecord, writeRecord } from '../../../updater/record/record-store.ts';
import { firstState, loadState, saveState } from '../../../updater/record/state-store.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError, withOperations } from '../support/wrapped-files.ts';

/** What a disk writes whole or not at all. */
const sectorBytes = 512;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
});
const write = (value: unknown) => writeRecord(realFiles, layout.stateRecords, 1, { value });
const read = () => readRecord(realFiles, layout.stateRecords);

describe('the record', () => {
  it('is nothing before it was written', () => {
    expect(read()).toBeNull();
  });

  it('rises by one with each write, and the last one is read', () => {
    for (let seq = 1; seq <= 5; seq += 1) {
      expect(write(seq)).toEqual({ seq, schema: 1, body: { value: seq } });
      expect(read()).toEqual({ seq, schema: 1, body: { value: seq } });
    }
  });

  it('is written in turns, in place: the files keep their inode and their 4,096 bytes', () => {
    const before = layout.stateRecords.map((path) => statSync(path).ino);
    const bytes = () => layout.stateRecords.map((path) => readFileSync(path));
    for (let i = 0; i < 4; i += 1) {
      const [first, second] = bytes();
      write('x'.repeat(i * 100));
      const unchanged = bytes().map((now, index) => now.equals([first, second][index] ?? Buffer.alloc(0)));
      expect(unchanged.filter(Boolean)).toHaveLength(1);
    }
    const after = layout.stateRecords.map((path) => statSync(path));
    expect(after.map(({ ino }) => ino)).toEqual(before);
    expect(after.map(({ size }) => size)).toEqual([recordSize, recordSize]);
  });

  it('is synced and read back before the write returns', () => {
    const { files, lines } = recordFiles();
    const [path] = layout.stateRecords;
    writeRecord(files, layout.stateRecords, 1, {});
    const ofTarget = lines.slice(lines.indexOf(`openWrite ${path}`)).map((line) => line.split(' ')[0]);
    expect(ofTarget).toEqual(['openWrite', 'write', 'sync', 'read', 'close']);
  });

  it('is refused when it does not read back as it was written', () => {
    const forgetful = withOperations({ read: () => Buffer.alloc(recordSize, 7) });
    expect(() => writeRecord(forgetful, layout.stateRecords, 1, {})).toThrow(
      expect.objectContaining({ code: 'record-not-written' }),
    );
  });

  it('does not fit beyond its bound, and what was there stays', () => {
    write('small');
    expect(() => write('x'.repeat(recordSize))).toThrow(expect.objectContaining({ code: 'record-too-large' }));
    expect(read()?.body).toEqual({ value: 'small' });
  });
});

describe('a torn write', () => {
  const torn = Array.from({ length: recordSize / sectorBytes }, (_, i) => i * sectorBytes);

  it.each(torn)('after %i bytes leaves the record before it, and the next write repairs', (length) => {
    write('first');
    write('second');
    const whole = encodeRecord({ seq: 3, schema: 1, body: { value: 'third' } });
    // The older file is the one that would have been written.
    const [older] = layout.stateRecords;
    writeFileSync(older, Buffer.concat([whole.subarray(0, length), readFileSync(older).subarray(length)]));
    expect(read()?.body).toEqual({ value: 'second' });
    expect(write('again').seq).toBe(3);
    expect(read()?.body).toEqual({ value: 'again' });
  });

  it('of sectors in any order leaves the record before it', () => {
    write('first');
    write('second');
    const [older] = layout.stateRecords;
    const before = readFileSync(older);
    const whole = encodeRecord({ seq: 3, schema: 1, body: { value: 'third'.repeat(500) } });
    for (let sectors = 1; sectors < 2 ** torn.length - 1; sectors += 1) {
      const mixed = torn.map((at, i) => (sectors & (1 << i) ? whole : before).subarray(at, at + sectorBytes));
      writeFileSync(older, Buffer.concat(mixed));
      const value = read()?.body;
      const isWhole = Buffer.concat(mixed).equals(whole);
      expect(value).toEqual({ value: isWhole ? 'third'.repeat(500) : 'second' });
    }
  });

  it('is one of the two records, whole, wherever the power goes', () => {
    write('first');
    for (let n = 1; n < 100; n += 1) {
      const cut = cutAt(n);
      const before = read()?.body;
      try {
        writeRecord(cut.files, layout.stateRecords, 1, { value: n });
        expect(n).toBeGreaterThan(5);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
      expect([before, { value: n }]).toContainEqual(read()?.body);
    }
  });
});

describe('a record file', () => {
  it('of another length is no record', () => {
    write('first');
    write('second');
    for (const size of [0, recordSize - 1, recordSize + 1]) {
      const [path] = layout.stateRecords;
      writeFileSync(
        path,
        Buffer.concat([encodeRecord({ seq: 9, schema: 1, body: {} }), Buffer.alloc(1)]).subarray(0, size),
      );
      expect(read()?.body).toEqual({ value: 'second' });
    }
  });

  it('that two writers wrote is corrupt, and nobody guesses', () => {
    for (const [i, path] of layout.stateRecords.entries()) {
      writeFileSync(path, encodeRecord({ seq: 4, schema: 1, body: { writer: i } }));
    }
    expect(read).toThrow(expect.objectContaining({ code: 'record-corrupt' }));
    expect(() => write('more')).toThrow(expect.objectContaining({ code: 'record-corrupt' }));
  });

  it('is made once: making it again changes nothing', () => {
    write('first');
    createRecordFiles(realFiles, layout.stateRecords, layout.updater);
    expect(read()?.body).toEqual({ value: 'first' });
  });

  it('that cannot be read is an error of the system, not an empty record', () => {
    write('first');
    const failing = withOperations({
      read: () => {
        throw systemError('EIO');
      },
    });
    expect(() => readRecord(failing, layout.stateRecords)).toThrow(expect.objectContaining({ code: 'EIO' }));
  });
});

describe('the state', () => {
  it('is loaded as it was saved', () => {
    const state = stateIn('trial');
    saveState(realFiles, layout, state);
    expect(loadState(realFiles, layout)).toEqual(state);
  });

  it('begins with the factory versions of both components, whose security versions are the floor', () => {
    const factory = (version: string, securityVersion: number) => ({
      version,
      manifest: 'a'.repeat(64),
      securityVersion,
    });
    const state = firstState(factory('1.0.49', 2), factory('1.0.0', 1));
    saveState(realFiles, layout, state);
    expect(loadState(realFiles, layout)).toMatchObject({
      row: 'idle',
      committed: { app: 'factory', updater: 'factory' },
      floor: { app: 2, updater: 1 },
    });
  });

  it('is named for what is wrong with it', () => {
    expect(() => loadState(realFiles, layout)).toThrow(expect.objectContaining({ code: 'state-missing' }));
    writeRecord(realFiles, layout.stateRecords, 1, { row: 'idle' });
    expect(() => loadState(realFiles, layout)).toThrow(expect.objectContaining({ code: 'state-unreadable' }));
    writeRecord(realFiles, layout.stateRecords, 2, { ...stateIn('idle'), row: 'of-the-future' });
    expect(() => loadState(realFiles, layout)).toThrow(expect.objectContaining({ code: 'state-from-the-future' }));
  });
});
