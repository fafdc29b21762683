import { createHash } from 'node:crypto';
import { counterMax } from './bounded-step.ts';

/**
 * A record: one file of 4,096 bytes that is written in place, kept twice. Pure bytes. It imports, directly and
 * indirectly, only Node, because launch reads it. Layout: magic (8), seq (8, big-endian), schema (4), body length (4),
 * body as JSON, zeros, SHA-256 of everything before it (32).
 */
export const recordSize = 4096;
const magic = Buffer.from('HFRECORD');
const headerSize = 24;
const digestSize = 32;
export const recordBodyBytesMax = recordSize - headerSize - digestSize;

export interface StoredRecord {
  readonly seq: number;
  readonly schema: number;
  readonly body: unknown;
}

export class RecordError extends Error {
  readonly code: 'record-too-large' | 'record-corrupt';
  constructor(code: RecordError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws RecordError `record-too-large` when the body does not fit */
export function encodeRecord(record: StoredRecord): Buffer {
  const body = Buffer.from(JSON.stringify(record.body));
  if (body.length > recordBodyBytesMax) {
    throw new RecordError(
      'record-too-large',
      `a record holds ${recordBodyBytesMax} bytes, this one needs ${body.length}`,
    );
  }
  const bytes = Buffer.alloc(recordSize);
  magic.copy(bytes, 0);
  bytes.writeBigUInt64BE(BigInt(record.seq), 8);
  bytes.writeUInt32BE(record.schema, 16);
  bytes.writeUInt32BE(body.length, 20);
  body.copy(bytes, headerSize);
  createHash('sha256')
    .update(bytes.subarray(0, recordSize - digestSize))
    .digest()
    .copy(bytes, recordSize - digestSize);
  return bytes;
}

/** @returns null for anything but a whole, valid record (never written, torn, rotten) */
export function decodeRecord(bytes: Uint8Array | null): StoredRecord | null {
  if (bytes === null || bytes.length !== recordSize) return null;
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const digest = createHash('sha256')
    .update(record.subarray(0, recordSize - digestSize))
    .digest();
  if (!record.subarray(0, magic.length).equals(magic) || !digest.equals(record.subarray(recordSize - digestSize)))
    return null;
  const seq = record.readBigUInt64BE(8);
  const length = record.readUInt32BE(20);
  // The next record's number is one higher and must be readable, too.
  if (length > recordBodyBytesMax || seq >= BigInt(counterMax)) return null;
  try {
    const body: unknown = JSON.parse(record.subarray(headerSize, headerSize + length).toString('utf8'));
    return { seq: Number(seq), schema: record.readUInt32BE(16), body };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Which of the two files holds the current record, and which is the older one that the next write goes to. */
export interface Newest {
  readonly record: StoredRecord | null;
  readonly writeTo: 0 | 1;
}

/**
 * The highest valid seq wins. If none is valid, `record` is null.
 * @throws RecordError `record-corrupt` when two valid records share a seq and differ: two writers were at work
 */
export function newestRecord(first: StoredRecord | null, second: StoredRecord | null): Newest {
  if (first === null) return { record: second, writeTo: 0 };
  if (second === null) return { record: first, writeTo: 1 };
  if (first.seq === second.seq) {
    if (JSON.stringify(first.body) !== JSON.stringify(second.body) || first.schema !== second.schema) {
      throw new RecordError('record-corrupt', `two records with seq ${first.seq} differ`);
    }
    return { record: first, writeTo: 1 };
  }
  return first.seq > second.seq ? { record: first, writeTo: 1 } : { record: second, writeTo: 0 };
}
