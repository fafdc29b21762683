import { posix } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { archiveHeader } from '../../image/archive.ts';
import { readBundleHeader } from '../../protocol/bundle-header.ts';
import { checkInAnswerShape, checkInRequestShape } from '../../protocol/check-in.ts';
import { healthAnswerShape } from '../../protocol/health.ts';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { orderShape } from '../../protocol/order.ts';
import { isPlainFrame } from '../../protocol/plain-frame.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { decodeRecord, encodeRecord, newestRecord, RecordError } from '../../protocol/record.ts';
import { requestShape } from '../../protocol/request.ts';
import { committedShape, sealShape } from '../../protocol/seal.ts';
import { launchBodyShape, stateBodyShape, statePrefixShape } from '../../protocol/state-record.ts';
import { statusShape } from '../../protocol/status.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import {
  loadTrusted,
  updateRoot,
  updateSnapshot,
  updateTargetsFromFile,
  updateTimestamp,
} from '../../protocol/trust/tuf.ts';
import { cpuStopwatch } from '../support/cpu-time.ts';
import { anyBytes, mutatedBytes, mutatedJson } from '../support/hostile/mutation.ts';
import { generateRepositoryKeys, signedRoot, signedState, targetFile, testNow } from '../support/tuf-repository.ts';
import { readExample, readExamples } from './examples.ts';

/** Longest that one message may keep its reader busy. */
const busyMsMax = 1_000;

function quickly<T>(work: () => T): T {
  const busyMs = cpuStopwatch();
  const result = work();
  expect(busyMs()).toBeLessThan(busyMsMax);
  return result;
}

const shapes: Readonly<Record<string, z.ZodType>> = {
  'check-in-answer': checkInAnswerShape,
  'check-in-request': checkInRequestShape,
  committed: committedShape,
  'health-answer': healthAnswerShape,
  'launch-body': launchBodyShape,
  manifest: manifestShape,
  order: orderShape,
  request: requestShape,
  seal: sealShape,
  'state-body': stateBodyShape,
  'state-prefix': statePrefixShape,
  status: statusShape,
};
/** Records are written again by whoever reads them. */
const keepsUnknown: ReadonlySet<string> = new Set(['state-body', 'state-prefix', 'launch-body']);
const examples = readExamples().flatMap(({ shape, name, message }) => {
  const parser = shapes[shape];
  return parser === undefined ? [] : [{ name, message, parser, keepsUnknown: keepsUnknown.has(shape) }];
});

describe('a shape', () => {
  it.each(examples)('reads $name or refuses it, whatever was done to it', ({ message, parser, keepsUnknown }) => {
    fc.assert(
      fc.property(fc.oneof(mutatedJson(message), fc.jsonValue()), (value) => {
        const result = quickly(() => parser.safeParse(JSON.parse(JSON.stringify(value ?? null))));
        if (!result.success) return;
        // What was accepted is plain. A record keeps what it does not know, as data: an own field of that name does no harm.
        if (!keepsUnknown) expect(JSON.stringify(result.data)).not.toContain('polluted');
        else expect(Object.getPrototypeOf(result.data)).toBe(Object.prototype);
      }),
      { numRuns: 300 },
    );
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

/** What must be true of a manifest that is followed, found in another way than its rules find it. */
function expectHarmless({ files, links, runtime, chunks }: Manifest): void {
  const places = [...files.map(({ path }) => path), ...links.map(({ path }) => path)];
  for (const path of [...places, ...(runtime?.files ?? []).map((file) => file.path)]) {
    expect(posix.join('/slot', path)).toBe(`/slot/${path}`);
    expect(Buffer.from(path).toString()).toBe(path);
  }
  expect(new Set(places.map((path) => path.normalize('NFKC').toLowerCase())).size).toBe(places.length);
  for (const { path, target } of links) {
    expect(posix.resolve('/slot', posix.dirname(path), target)).toMatch(/^\/slot\/./);
    expect(files.some((file) => file.path.startsWith(`${path}/`))).toBe(false);
  }
  for (const { size, chunks: uses } of files) {
    expect(uses.reduce((sum, index) => sum + (chunks[index]?.size ?? Number.NaN), 0)).toBe(size);
  }
}

describe('a manifest', () => {
  const sample = ['manifest.app', 'manifest.whole', 'manifest.image'].map((name) => readExample(name));

  it('that is followed is harmless, whatever was done to its fields', () => {
    fc.assert(
      fc.property(fc.oneof(...sample.map(mutatedJson)), (value) => {
        const reading = quickly(() => readManifest(Buffer.from(JSON.stringify(value ?? null))));
        if (reading.outcome === 'read') expectHarmless(reading.manifest);
      }),
      { numRuns: 4_000 },
    );
  });

  it('is read or refused, whatever was done to its bytes', () => {
    fc.assert(
      fc.property(fc.oneof(...sample.map((value) => anyBytes(Buffer.from(JSON.stringify(value))))), (bytes) => {
        const reading = quickly(() => readManifest(bytes));
        if (reading.outcome === 'read') expectHarmless(reading.manifest);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the header of an entry', () => {
  it('is the one that the builder makes, for every size', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9./]{1,60}$/), fc.integer({ min: 0, max: 8 ** 11 - 1 }), (name, size) => {
        expect(readBundleHeader(archiveHeader(name, size))).toEqual({ name, size });
      }),
    );
  });

  it('is none with any bit changed, and none of any other bytes', () => {
    const header = archiveHeader('manifest.json.zst', 12_345);
    for (let bit = 0; bit < header.length * 8; bit += 1) {
      const changed = Buffer.from(header);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(readBundleHeader(changed), `bit ${bit}`).toBeNull();
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
        expect(readBundleHeader(Buffer.from(bytes))).toBeNull();
      }),
    );
  });
});

describe('a frame', () => {
  const raw = fc.uint8Array({ maxLength: 4_096 }).map((bytes) => Buffer.from(bytes));

  it('is plain as it was made, and not with anything behind it or missing', () => {
    fc.assert(
      fc.property(raw, fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes, more) => {
        const frame = zstdCompressSync(bytes);
        expect(isPlainFrame(frame)).toBe(true);
        expect(isPlainFrame(Buffer.concat([frame, more]))).toBe(false);
        expect(isPlainFrame(Buffer.concat([more, frame]))).toBe(false);
        expect(isPlainFrame(frame.subarray(0, -1))).toBe(false);
      }),
    );
  });

  it('is looked at without harm, whatever its bytes', () => {
    const frame = zstdCompressSync(Buffer.from('frame '.repeat(400)));
    fc.assert(
      fc.property(anyBytes(frame), (bytes) => {
        expect(typeof quickly(() => isPlainFrame(bytes))).toBe('boolean');
      }),
      { numRuns: 1_000 },
    );
  });
});

/** Only the named error; what is returned was trusted. */
function trustErrorOrResult(work: () => unknown): void {
  try {
    quickly(work);
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    expect(error.message.length).toBeGreaterThan(10);
  }
}

describe('metadata of a repository', () => {
  const keys = generateRepositoryKeys();
  const root = signedRoot(keys);
  const state = signedState(keys, { files: [targetFile('app-1.0.52.manifest.json', Buffer.from('manifest'))] });
  const trusted = loadTrusted({ root, ...state });
  const readers: readonly (readonly [string, Buffer, (bytes: Buffer) => unknown])[] = [
    ['root', signedRoot(keys, 2), (bytes) => updateRoot(trusted, bytes)],
    ['timestamp', state.timestamp, (bytes) => updateTimestamp(trusted, bytes, testNow)],
    ['snapshot', state.snapshot, (bytes) => updateSnapshot(trusted, bytes, testNow)],
    ['targets', state.targets, (bytes) => updateTargetsFromFile(trusted, bytes)],
  ];

  it.each(readers)('is trusted or refused by name, whatever was done to the %s', (_name, valid, read) => {
    const json: unknown = JSON.parse(valid.toString('utf8'));
    const asBytes = mutatedJson(json).map((value) => Buffer.from(JSON.stringify(value ?? null)));
    fc.assert(
      fc.property(fc.oneof(anyBytes(valid), asBytes), (bytes) => trustErrorOrResult(() => read(bytes))),
      { numRuns: 300 },
    );
  });

  it('as it is stored is read or passed over, whatever was done to it', () => {
    const roles = fc.tuple(...[root, state.timestamp, state.snapshot, state.targets].map(anyBytes));
    fc.assert(
      fc.property(roles, fc.nat(15), ([oddRoot, timestamp, snapshot, targets], which) => {
        const pick = (index: number, odd: Buffer | undefined, right: Buffer) =>
          (which & (1 << index)) === 0 || odd === undefined ? right : odd;
        trustErrorOrResult(() =>
          loadTrusted({
            root: pick(0, oddRoot, root),
            timestamp: pick(1, timestamp, state.timestamp),
            snapshot: pick(2, snapshot, state.snapshot),
            targets: pick(3, targets, state.targets),
          }),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('a record', () => {
  const body = readExample('state-body.trial');
  const record = encodeRecord({ seq: 41, schema: 1, body });

  it('is whole or nothing, whatever its bytes', () => {
    fc.assert(
      fc.property(anyBytes(record), (bytes) => {
        const found = quickly(() => decodeRecord(bytes));
        if (found !== null) expect(bytes.equals(record)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('is chosen among two without a crash, whatever their bytes', () => {
    const other = encodeRecord({ seq: 41, schema: 1, body: { ...Object(body), row: 'idle' } });
    const one = fc.oneof(fc.constantFrom(record, other), mutatedBytes(record));
    fc.assert(
      fc.property(one, one, (first, second) => {
        try {
          const { writeTo } = newestRecord(decodeRecord(first), decodeRecord(second));
          expect([0, 1]).toContain(writeTo);
        } catch (error) {
          if (!(error instanceof RecordError)) throw error;
          expect(error.code).toBe('record-corrupt');
        }
      }),
      { numRuns: 500 },
    );
  });
});
