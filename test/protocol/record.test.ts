import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { counterMax } from '../../protocol/bounded-step.ts';
import { decodeRecord, encodeRecord, newestRecord, recordBodyBytesMax, recordSize } from '../../protocol/record.ts';
import { launchBodyShape, launchSchema, stateBodyShape, stateSchema } from '../../protocol/state-record.ts';
import { readExample } from './examples.ts';

/** What a disk writes at once; a power cut tears between two of them. */
const sectorSize = 512;
const sectors = recordSize / sectorSize;

const older = { seq: 7, schema: 1, body: { row: 'idle', note: 'a'.repeat(3_000) } };
const newer = { seq: 9, schema: 1, body: { row: 'armed', note: 'b'.repeat(3_500) } };
const [olderBytes, newerBytes] = [encodeRecord(older), encodeRecord(newer)];

const frozenShape = z.object({ schema: z.int(), seq: z.int(), base64: z.string() });

describe('a record', () => {
  it.each([
    ['record-bytes.state', stateSchema, stateBodyShape],
    ['record-bytes.launch', launchSchema, launchBodyShape],
  ])('that was written once is read for ever: %s', (name, schema, shape) => {
    const frozen = frozenShape.parse(readExample(name));
    const record = decodeRecord(Buffer.from(frozen.base64, 'base64'));
    expect(record).toMatchObject({ schema, seq: frozen.seq });
    expect(shape.safeParse(record?.body).error).toBeUndefined();
    expect(encodeRecord(record ?? older).toString('base64')).toBe(frozen.base64);
  });

  it('gives back any body that fits', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.nat({ max: counterMax - 1 }), fc.nat(), (value, seq, schema) => {
        const body: unknown = JSON.parse(JSON.stringify(value));
        fc.pre(Buffer.byteLength(JSON.stringify(body)) <= recordBodyBytesMax);
        expect(decodeRecord(encodeRecord({ seq, schema, body }))).toEqual({ seq, schema, body });
      }),
    );
  });

  it('whose number nobody can have counted is nothing: the one after it could not be read', () => {
    for (const seq of [counterMax, Number.MAX_SAFE_INTEGER]) {
      expect(decodeRecord(encodeRecord({ ...older, seq }))).toBeNull();
    }
    const last = decodeRecord(encodeRecord({ ...older, seq: counterMax - 1 }));
    expect(last?.seq).toBe(counterMax - 1);
  });

  it('holds a body of the largest size, and refuses one byte more', () => {
    const largest = 'x'.repeat(recordBodyBytesMax - 2);
    expect(decodeRecord(encodeRecord({ ...older, body: largest }))?.body).toBe(largest);
    expect(() => encodeRecord({ ...older, body: `${largest}x` })).toThrow(
      expect.objectContaining({ code: 'record-too-large' }),
    );
  });

  it('torn at any sector is the old one, the new one or nothing, whichever sectors arrived', () => {
    for (let mask = 0; mask < 2 ** sectors; mask += 1) {
      const parts = Array.from({ length: sectors }, (_, i) =>
        (mask & (1 << i) ? newerBytes : olderBytes).subarray(i * sectorSize, (i + 1) * sectorSize),
      );
      const expected = mask === 0 ? older : mask === 2 ** sectors - 1 ? newer : null;
      expect(decodeRecord(Buffer.concat(parts))).toEqual(expected);
    }
  });

  it('over a file that was never written is torn to nothing', () => {
    for (let whole = 0; whole < sectors; whole += 1) {
      const bytes = Buffer.alloc(recordSize);
      newerBytes.copy(bytes, 0, 0, whole * sectorSize);
      expect(decodeRecord(bytes)).toBeNull();
    }
  });

  it('with any single bit flipped is nothing', () => {
    const read: number[] = [];
    for (let bit = 0; bit < recordSize * 8; bit += 1) {
      const bytes = Buffer.from(newerBytes);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (decodeRecord(bytes) !== null) read.push(bit);
    }
    expect(read).toEqual([]);
  });

  it.each([0, 1, sectorSize, recordSize - 1, recordSize + 1, 2 * recordSize])('of %i bytes is nothing', (length) => {
    expect(decodeRecord(Buffer.concat([newerBytes, newerBytes]).subarray(0, length))).toBe(null);
  });

  it('that is missing is nothing', () => {
    expect(decodeRecord(null)).toBeNull();
  });

  it('is read from the middle of a larger buffer', () => {
    const around = Buffer.concat([Buffer.alloc(100, 1), newerBytes, Buffer.alloc(100, 2)]);
    expect(decodeRecord(around.subarray(100, 100 + recordSize))).toEqual(newer);
  });
});

describe('of two records', () => {
  it('the one with the higher seq counts, and the other is written next', () => {
    expect(newestRecord(older, newer)).toEqual({ record: newer, writeTo: 0 });
    expect(newestRecord(newer, older)).toEqual({ record: newer, writeTo: 1 });
  });

  it('the valid one counts, and the other is written next', () => {
    expect(newestRecord(null, older)).toEqual({ record: older, writeTo: 0 });
    expect(newestRecord(older, null)).toEqual({ record: older, writeTo: 1 });
    expect(newestRecord(null, null)).toEqual({ record: null, writeTo: 0 });
  });

  it('with one seq and one body either counts', () => {
    expect(newestRecord(older, { ...older })).toEqual({ record: older, writeTo: 1 });
  });

  it.each([
    ['bodies', { ...older, body: newer.body }],
    ['schemas', { ...older, schema: 2 }],
  ])('with one seq and different %s neither is believed', (_, twin) => {
    expect(() => newestRecord(older, twin)).toThrow(expect.objectContaining({ code: 'record-corrupt' }));
  });

  it('the last whole one survives whatever happens to the write after it', () => {
    fc.assert(
      fc.property(fc.nat({ max: sectors - 1 }), fc.boolean(), (whole, isFirst) => {
        const torn = Buffer.from(olderBytes);
        const next = encodeRecord({ seq: 10, schema: 1, body: { row: 'trial', note: 'c'.repeat(3_600) } });
        next.copy(torn, 0, 0, whole * sectorSize);
        const [first, second] = isFirst ? [torn, newerBytes] : [newerBytes, torn];
        expect(newestRecord(decodeRecord(first), decodeRecord(second))).toEqual({
          record: newer,
          writeTo: isFirst ? 0 : 1,
        });
      }),
    );
  });
});
