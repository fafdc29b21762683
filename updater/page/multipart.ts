import { pageTexts } from '../words/texts.ts';

/** What a browser may send around its fields: RFC 2046 limits the boundary; the other limits are ours. */
const boundaryPattern = /^multipart\/form-data\s*;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s";]{1,70}))\s*$/i;
const headerBytesMax = 2 * 1024;
const partsMax = 8;

export class MultipartError extends Error {
  readonly code = 'form-malformed';
}

/** What a form is made of, in the order in which it arrives. */
export type MultipartEvent =
  | { readonly kind: 'part'; readonly name: string; readonly isFile: boolean }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'part-end' };

/** The boundary of a form's content type, or null when it is not a multipart form. */
export function boundaryOf(contentType: string | undefined): string | null {
  const match = boundaryPattern.exec(contentType ?? '');
  return match?.[1] ?? match?.[2] ?? null;
}

function nameOf(headers: string): { name: string; isFile: boolean } {
  const line = headers.split('\r\n').find((header) => /^content-disposition\s*:/i.test(header)) ?? '';
  // RFC 7578 section 4.2; browsers write a quote inside a name as %22.
  const name = /;\s*name="([^"]{1,100})"/i.exec(line)?.[1];
  if (!/^content-disposition\s*:\s*form-data\s*;/i.test(line) || name === undefined) {
    throw new MultipartError(pageTexts.partWithoutName);
  }
  return { name, isFile: /;\s*filename\*?=/i.test(line) };
}

type Place = 'delimiter' | 'headers' | 'body' | 'done';

/**
 * Takes a multipart/form-data body (RFC 7578) apart while it streams in. However large the body, it keeps at most one
 * delimiter or one header block in memory. Text before the first delimiter is refused, text after the last one is
 * ignored.
 */
export class MultipartReader {
  readonly #delimiter: Buffer;
  #place: Place = 'delimiter';
  // As if a line had just ended, so that the first delimiter looks like all others.
  #rest: Buffer = Buffer.from('\r\n');
  #parts = 0;
  #inPart = false;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /** @throws MultipartError */
  push(bytes: Uint8Array): MultipartEvent[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const events: MultipartEvent[] = [];
    while (this.#step(events));
    return events;
  }

  /** @throws MultipartError when the body ended before the form did */
  finish(): void {
    if (this.#place !== 'done') throw new MultipartError(pageTexts.formEnded);
  }

  /** @returns false when more bytes are needed */
  #step(events: MultipartEvent[]): boolean {
    switch (this.#place) {
      case 'delimiter':
        return this.#passDelimiter(events);
      case 'headers':
        return this.#passHeaders(events);
      case 'body':
        return this.#passBody(events);
      case 'done':
        this.#rest = Buffer.alloc(0);
        return false;
      default:
        return this.#place satisfies never;
    }
  }

  #passDelimiter(events: MultipartEvent[]): boolean {
    const length = this.#delimiter.length;
    const seen = Math.min(this.#rest.length, length);
    if (!this.#rest.subarray(0, seen).equals(this.#delimiter.subarray(0, seen))) {
      throw new MultipartError(pageTexts.noBoundary);
    }
    if (this.#rest.length < length + 2) return false;
    const tail = this.#rest.subarray(length, length + 2).toString('latin1');
    if (tail !== '--' && tail !== '\r\n') throw new MultipartError(pageTexts.boundaryDamaged);
    if (this.#inPart) events.push({ kind: 'part-end' });
    this.#inPart = false;
    this.#place = tail === '--' ? 'done' : 'headers';
    // The line end stays: a part without headers is an empty line.
    this.#rest = this.#rest.subarray(length);
    return true;
  }

  #passHeaders(events: MultipartEvent[]): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if ((end === -1 ? this.#rest.length : end) > headerBytesMax) {
      throw new MultipartError(pageTexts.headTooLong);
    }
    if (end === -1) return false;
    this.#parts += 1;
    if (this.#parts > partsMax) throw new MultipartError(pageTexts.tooManyParts);
    events.push({ kind: 'part', ...nameOf(this.#rest.subarray(0, end).toString('utf8')) });
    this.#inPart = true;
    this.#place = 'body';
    this.#rest = this.#rest.subarray(end + 4);
    return true;
  }

  #passBody(events: MultipartEvent[]): boolean {
    const at = this.#rest.indexOf(this.#delimiter);
    // What could be the start of a delimiter waits for the next bytes.
    const end = at === -1 ? Math.max(0, this.#rest.length - this.#delimiter.length + 1) : at;
    if (end > 0) events.push({ kind: 'bytes', bytes: this.#rest.subarray(0, end) });
    this.#rest = this.#rest.subarray(end);
    if (at === -1) return false;
    this.#place = 'delimiter';
    return true;
  }
}
