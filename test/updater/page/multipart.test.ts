import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryOf, MultipartReader } from '../../../updater/page/multipart.ts';

const boundary = '----form7MA4YWxk';

function form(...parts: readonly (readonly [head: string, content: Uint8Array])[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(([head, content]) => [
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
      content,
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/** Reads a body that arrives in pieces of these sizes; the last size is used for the rest. */
function read(body: Buffer, sizes: readonly number[] = [body.length]) {
  const reader = new MultipartReader(boundary);
  const parts: { name: string; isFile: boolean; content: Buffer[]; ended: boolean }[] = [];
  for (let at = 0, i = 0; at < body.length; i += 1) {
    const size = sizes[Math.min(i, sizes.length - 1)] ?? 1;
    for (const event of reader.push(body.subarray(at, at + size))) {
      const current = parts.at(-1);
      if (event.kind === 'part') parts.push({ name: event.name, isFile: event.isFile, content: [], ended: false });
      else if (event.kind === 'bytes') current?.content.push(Buffer.from(event.bytes));
      else if (current !== undefined) current.ended = true;
    }
    at += size;
  }
  reader.finish();
  return parts.map(({ content, ...part }) => ({ ...part, content: Buffer.concat(content) }));
}

const malformed = expect.objectContaining({ code: 'form-malformed' });

describe('a form with a file', () => {
  it('comes apart into its fields, whatever the pieces that it arrives in', () => {
    const near = fc.constantFrom('\r', '\n', '\r\n', '--', `\r\n--${boundary.slice(0, 5)}`, `--${boundary}`, '\r\n-');
    const content = fc
      .array(
        fc.oneof(
          near.map((text) => Buffer.from(text)),
          fc.uint8Array({ maxLength: 40 }),
        ),
        { maxLength: 12 },
      )
      .map((parts) => Buffer.concat(parts))
      .filter((bytes) => !`\r\n${bytes.toString('latin1')}`.slice(2).includes(`\r\n--${boundary}`));
    fc.assert(
      fc.property(content, content, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (pin, file, sizes) => {
        const body = form(['name="pin"', pin], ['name="file"; filename="a.hfb"', file]);
        expect(read(body, sizes)).toEqual([
          { name: 'pin', isFile: false, content: pin, ended: true },
          { name: 'file', isFile: true, content: file, ended: true },
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it('may be empty, and have text after its end', () => {
    expect(read(Buffer.from(`--${boundary}--\r\nand so on`))).toEqual([]);
  });

  it.each([
    ['no boundary', 'hello'],
    ['another boundary', '--other\r\n'],
    ['text before its boundary', `hello\r\n--${boundary}--`],
    ['a boundary that goes on', `--${boundary}xx\r\n`],
    ['a part without a name', `--${boundary}\r\ncontent-disposition: form-data\r\n\r\n\r\n--${boundary}--`],
    [
      'a part that is no field',
      `--${boundary}\r\ncontent-disposition: attachment; name="x"\r\n\r\n\r\n--${boundary}--`,
    ],
    ['no end', `--${boundary}\r\ncontent-disposition: form-data; name="x"\r\n\r\nabc`],
    ['a head without end', `--${boundary}\r\n${'x-head: y\r\n'.repeat(1_000)}`],
  ])('with %s is refused', (_, text) => {
    expect(() => read(Buffer.from(text))).toThrow(malformed);
  });

  it('with more parts than a form of the page has is refused', () => {
    expect(() => read(form(...Array.from({ length: 9 }, () => ['name="x"', Buffer.alloc(1)] as const)))).toThrow(
      malformed,
    );
  });

  it('that is cut off anywhere is refused', () => {
    const body = form(['name="pin"', Buffer.from('12345678')], ['name="file"; filename="a"', Buffer.from('content')]);
    for (let length = 0; length < body.length - 2; length += 1) {
      expect(() => read(body.subarray(0, length))).toThrow(malformed);
    }
  });
});

describe('the boundary of a content type', () => {
  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['multipart/form-data;boundary="a b"', 'a b'],
    ['Multipart/Form-Data; Boundary=----WebKitFormBoundaryx', '----WebKitFormBoundaryx'],
    ['multipart/form-data', null],
    ['multipart/mixed; boundary=abc', null],
    [`multipart/form-data; boundary=${'x'.repeat(71)}`, null],
    [undefined, null],
  ])('of %j is %j', (type, expected) => {
    expect(boundaryOf(type)).toBe(expected);
  });
});
