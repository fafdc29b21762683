import { manifestLimits } from '../../protocol/payload.ts';
import type { Files, Handle } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import type { HttpHead, HttpStream } from '../effects/http-request.ts';
import { asFileError, ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';

/** Bytes of a bundle, from any source. They are not trusted until their digest is checked. */
export interface ByteSource {
  /** It cannot send a part: each read starts at the first byte, so one long read is better than many. */
  readonly wholeOnly?: boolean;
  /** Its bytes were not what was signed. @returns false when there is no other source */
  readonly distrust?: () => Promise<boolean>;
  /** For a file on this machine: a synchronous `read`. */
  readonly readNow?: (position: number, length: number) => Buffer;
  /** The path or address, for messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes at `position`, or a {@link ReleaseError} `truncated`. */
  read(position: number, length: number): Promise<Buffer>;
  /** The same, delivered in pieces as they arrive; an error thrown by `take` ends it. */
  stream(position: number, length: number, take: (piece: Buffer) => void): Promise<void>;
  close(): void;
}

const pieceBytes = 1024 * 1024;
/** Frames, patches, and everything before them. */
const bundleBytesMax = 2 * manifestLimits.payloadBytesMax;
/** For one range of at most 8 MiB; a connection of 10 KiB/s manages it in time. */
const rangeTotalMs = 15 * 60_000;
/** The first request to a server: it shows the size, and contains everything before the frames of most releases. */
const firstRangeBytes = 128 * 1024;

/**
 * A local file, opened once and held: later changes of its name (rename, link) do not matter.
 * @throws ReleaseError `no-file`
 */
export function fileSource(files: Files, path: string): ByteSource {
  let handle: number;
  try {
    handle = files.openRead(path);
  } catch (cause) {
    throw new ReleaseError('no-file', releaseTexts.notOpened(path), { cause });
  }
  const { size } = files.statHandle(handle);
  const readExactly = (position: number, length: number): Buffer => {
    const bytes = readOrGone(files, handle, path, position, length);
    if (bytes.length === length) return bytes;
    throw asFileError(new ReleaseError('truncated', releaseTexts.endsBefore(path, position + length)), path);
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

/** Pulling out a stick is not a fault of our own disk. */
function readOrGone(files: Files, handle: Handle, path: string, position: number, length: number): Buffer {
  try {
    return files.read(handle, position, length);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new ReleaseError('no-file', releaseTexts.noLongerRead(path, String(cause.code)), { cause });
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
      // Bytes of the first answer are not requested again.
      const known = first.bytes.subarray(position, position + length);
      if (known.length > 0) take(known);
      const rest = { position: position + known.length, length: length - known.length };
      if (rest.length > 0) await readRange(http, { url, ...rest, size }, take);
    },
    close: () => undefined,
  };
}

/** The first bytes, and the total size, which every later answer must repeat: otherwise it is about another file. */
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
  /** null: not known yet; the file may be shorter than `length`. */
  readonly size: number | null;
}

/**
 * A part of a file, even if the server sends all of it: then the bytes before the part are skipped, and the rest is not
 * read.
 */
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
      if (received > expected) throw new ReleaseError('bad-bundle', releaseTexts.sentMore(url));
      take(part);
    }
    if (received < expected) {
      throw new ReleaseError('truncated', releaseTexts.sentLess(url, received, expected, position));
    }
    return { size, wholeOnly };
  });
}

/** The whole file, if its announced length is not more than any bundle has. */
function wholeSizeOf({ headers }: HttpHead, { url, size }: Range): number {
  const announced = /^\d{1,15}$/.exec(String(headers['content-length']))?.[0];
  const whole = Number(announced ?? Number.NaN);
  if (!(whole <= bundleBytesMax)) {
    throw new ReleaseError('range-ignored', releaseTexts.lengthUnknown(url));
  }
  if (size !== null && whole !== size) throw new ReleaseError('bad-bundle', releaseTexts.anotherFile(url));
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
  throw new ReleaseError('truncated', releaseTexts.endsAt(url, at, position + length));
}

function sizeOf({ status, headers }: HttpHead, { url, position, length, size }: Range): number {
  if (status !== 206) throw new ReleaseError('http-status', releaseTexts.answersWith(url, status));
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(String(headers['content-range']));
  const [from, to, total] = (match ?? []).slice(1).map(Number);
  if (from === undefined || to === undefined || total === undefined) {
    throw new ReleaseError('range-ignored', releaseTexts.partUnknown(url));
  }
  if (from !== position || to !== Math.min(position + length, total) - 1 || (size !== null && total !== size)) {
    throw new ReleaseError('bad-bundle', releaseTexts.anotherPart(url));
  }
  return total;
}
