import { manifestLimits } from '../../protocol/payload.ts';
import type { Files, Handle } from '../effects/files.ts';
import type { Http, HttpHead, HttpStream } from '../effects/http.ts';
import { ReleaseError } from './release-error.ts';

/** Bytes of a bundle, wherever they are. Nobody trusts them before their digest was checked. */
export interface ByteSource {
  /** It can not send a part: each look begins at its first byte, so one long look is better than many. */
  readonly wholeOnly?: boolean;
  /** What it sent was not what was signed. @returns false when nobody else has it */
  readonly distrust?: () => Promise<boolean>;
  /** For a file on this machine: the same as `read`, at once. */
  readonly readNow?: (position: number, length: number) => Buffer;
  /** The path or address, for messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes at `position`, or a {@link ReleaseError} `truncated`. */
  read(position: number, length: number): Promise<Buffer>;
  /** The same, handed over in pieces as they arrive; what `take` throws ends it. */
  stream(position: number, length: number, take: (piece: Buffer) => void): Promise<void>;
  close(): void;
}

/** One piece of a file. */
const pieceBytes = 1024 * 1024;
/** Frames, patches, and what comes before them. */
const bundleBytesMax = 2 * manifestLimits.payloadBytesMax;
/** For one range of at most 8 MiB; a line of 10 KiB/s does it in time. */
const rangeTotalMs = 15 * 60_000;
/** What is asked of a server first: it tells the size, and holds all that comes before the frames of most releases. */
const firstRangeBytes = 128 * 1024;

/**
 * A local file, opened once and held: whatever is renamed, linked or written to its name later is not looked at.
 * @throws ReleaseError `no-file`
 */
export function fileSource(files: Files, path: string): ByteSource {
  let handle: number;
  try {
    handle = files.openRead(path);
  } catch (cause) {
    throw new ReleaseError('no-file', `${path} can not be opened as a file`, { cause });
  }
  const { size } = files.statHandle(handle);
  const readExactly = (position: number, length: number): Buffer => {
    const bytes = readOrGone(files, handle, path, position, length);
    if (bytes.length !== length) throw new ReleaseError('truncated', `${path} ends before byte ${position + length}`);
    return bytes;
  };
  return {
    name: path,
    size,
    readNow: readExactly,
    read: async (position, length) => readExactly(position, length),
    stream: async (position, length, take) => {
      for (let done = 0; done < length; done += pieceBytes) {
        take(readExactly(position + done, Math.min(pieceBytes, length - done)));
      }
    },
    close: () => files.close(handle),
  };
}

/** A stick that was pulled out is not a broken disk of ours. */
function readOrGone(files: Files, handle: Handle, path: string, position: number, length: number): Buffer {
  try {
    return files.read(handle, position, length);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new ReleaseError('no-file', `${path} can not be read any more (${String(cause.code)})`, { cause });
  }
}

/** A file on a server that answers ranges (RFC 9110 section 14). */
export async function httpSource(http: Http, url: string): Promise<ByteSource> {
  const first = await readFirst(http, url);
  const { size } = first;
  return {
    name: url,
    size,
    wholeOnly: first.wholeOnly,
    read: async (position, length) => {
      if (position + length <= first.bytes.length) return first.bytes.subarray(position, position + length);
      const parts: Buffer[] = [];
      await readRange(http, { url, position, length, size }, (part) => parts.push(part));
      return Buffer.concat(parts);
    },
    stream: async (position, length, take) => {
      // What came with the first bytes is not asked for again.
      const known = first.bytes.subarray(position, position + length);
      if (known.length > 0) take(known);
      const rest = { position: position + known.length, length: length - known.length };
      if (rest.length > 0) await readRange(http, { url, ...rest, size }, take);
    },
    close: () => undefined,
  };
}

/** The first bytes, and the size of the whole, which every later answer must repeat: else it is about another file. */
async function readFirst(http: Http, url: string): Promise<{ bytes: Buffer; size: number; wholeOnly: boolean }> {
  const parts: Buffer[] = [];
  const answered = await readRange(http, { url, position: 0, length: firstRangeBytes, size: null }, (part) =>
    parts.push(part),
  );
  return { bytes: Buffer.concat(parts), ...answered };
}

interface Range {
  readonly url: string;
  readonly position: number;
  readonly length: number;
  /** null: not known yet, and fewer bytes than `length` may be all there are. */
  readonly size: number | null;
}

/** A part of a file, also where the whole of it is sent: then what lies before is passed over, and the rest not read. */
function readRange(
  http: Http,
  range: Range,
  take: (part: Buffer) => void,
): Promise<{ size: number; wholeOnly: boolean }> {
  const { url, position, length } = range;
  const headers = { range: `bytes=${position}-${position + length - 1}` };
  return http.stream({ url, headers, totalMs: rangeTotalMs }, async (answer) => {
    const wholeOnly = answer.status === 200;
    const size = wholeOnly ? wholeSizeOf(answer, range) : sizeOf(answer, range);
    const expected = Math.min(length, size - position);
    if (wholeOnly) {
      await takeWithin(answer, position, expected, take, url);
      return { size, wholeOnly };
    }
    let received = 0;
    for await (const part of answer.body) {
      received += part.length;
      if (received > expected) throw new ReleaseError('bad-bundle', `${url} sent more than the range asked for`);
      take(part);
    }
    if (received < expected) {
      throw new ReleaseError('truncated', `${url} sent ${received} of ${expected} bytes at ${position}`);
    }
    return { size, wholeOnly };
  });
}

/** The whole file, of a length that is said before and is not more than any bundle has. */
function wholeSizeOf({ headers }: HttpHead, { url, size }: Range): number {
  const announced = /^\d{1,15}$/.exec(String(headers['content-length']))?.[0];
  const whole = Number(announced ?? Number.NaN);
  if (!(whole <= bundleBytesMax)) {
    throw new ReleaseError('range-ignored', `${url} sends the whole file, and does not say how long it is`);
  }
  if (size !== null && whole !== size) throw new ReleaseError('bad-bundle', `${url} sends another file than before`);
  return whole;
}

async function takeWithin(
  answer: HttpStream,
  position: number,
  length: number,
  take: (part: Buffer) => void,
  url: string,
): Promise<void> {
  let at = 0;
  for await (const part of answer.body) {
    const from = Math.max(0, position - at);
    const to = Math.min(part.length, position + length - at);
    if (to > from) take(part.subarray(from, to));
    at += part.length;
    if (at >= position + length) return;
  }
  throw new ReleaseError('truncated', `${url} ends at byte ${at} of ${position + length}`);
}

function sizeOf({ status, headers }: HttpHead, { url, position, length, size }: Range): number {
  if (status !== 206) throw new ReleaseError('http-status', `${url} answers with status ${status}`);
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(String(headers['content-range']));
  const [from, to, total] = (match ?? []).slice(1).map(Number);
  if (from === undefined || to === undefined || total === undefined) {
    throw new ReleaseError('range-ignored', `${url} does not say which part of the file it sends`);
  }
  if (from !== position || to !== Math.min(position + length, total) - 1 || (size !== null && total !== size)) {
    throw new ReleaseError('bad-bundle', `${url} sends another part, or a part of another file, than was asked for`);
  }
  return total;
}
