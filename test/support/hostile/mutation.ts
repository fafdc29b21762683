import fc from 'fast-check';

/** Values that a field was never meant to have: the ends of numbers, other types, texts that mean something elsewhere. */
const strangers: readonly unknown[] = [
  null,
  true,
  '',
  'x'.repeat(5_000),
  '../../outside',
  '/etc/passwd',
  'a\u0000b',
  '\ud800',
  '__proto__',
  -1,
  -0,
  0.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  [],
  {},
  [[[[]]]],
  Array.from({ length: 1_000 }, () => 0),
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
];

type Path = readonly (string | number)[];

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pathsOf(value: unknown, at: Path = []): Path[] {
  const children = Array.isArray(value) ? [...value.entries()] : isObject(value) ? Object.entries(value) : [];
  return [at, ...children.flatMap(([key, child]) => pathsOf(child, [...at, key]))];
}

type Change =
  | { readonly kind: 'replace'; readonly value: unknown }
  | { readonly kind: 'remove' }
  | { readonly kind: 'double' };

function applied(value: unknown, path: Path, change: Change): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change.kind === 'replace' ? change.value : value;
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => {
      if (index !== key) return [item];
      if (rest.length > 0 || change.kind === 'replace') return [applied(item, rest, change)];
      return change.kind === 'remove' ? [] : [item, item];
    });
  }
  if (!isObject(value)) return value;
  const entries = Object.entries(value).flatMap(([name, item]): [string, unknown][] => {
    if (name !== key) return [[name, item]];
    if (rest.length > 0 || change.kind === 'replace') return [[name, applied(item, rest, change)]];
    return change.kind === 'remove'
      ? []
      : [
          [name, item],
          [`${name}s`, item],
        ];
  });
  return Object.fromEntries(entries);
}

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...strangers).map((value): Change => ({ kind: 'replace', value })) },
  { weight: 1, arbitrary: fc.jsonValue().map((value): Change => ({ kind: 'replace', value })) },
  { weight: 2, arbitrary: fc.constant<Change>({ kind: 'remove' }) },
  { weight: 1, arbitrary: fc.constant<Change>({ kind: 'double' }) },
);

/** A message with one to four of its fields replaced, removed or doubled. */
export function mutatedJson(message: unknown): fc.Arbitrary<unknown> {
  const step = fc.tuple(fc.nat(), change);
  return fc.array(step, { minLength: 1, maxLength: 4 }).map((steps) =>
    steps.reduce((value: unknown, [where, what]) => {
      const paths = pathsOf(value);
      return applied(value, paths[where % paths.length] ?? [], what);
    }, message),
  );
}

/** Bytes with some bits flipped, or cut short, or with a piece of themselves or of nothing put in. */
export function mutatedBytes(bytes: Buffer): fc.Arbitrary<Buffer> {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 })), { minLength: 1, maxLength: 8 });
  const place = fc.nat(bytes.length);
  return fc.oneof(
    { weight: 3, arbitrary: flips.map((bits) => flipped(bytes, bits)) },
    { weight: 1, arbitrary: place.map((end) => bytes.subarray(0, end)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(place, place, place)
        .map(([at, from, to]) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at)])),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(place, fc.uint8Array({ maxLength: 64 }))
        .map(([at, more]) => Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)])),
    },
  );
}

function flipped(bytes: Buffer, bits: readonly (readonly [number, number])[]): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  for (const [where, bit] of bits) {
    const at = where % copy.length;
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  }
  return copy;
}

/** Anything at all, or something that was right once. */
export function anyBytes(valid: Buffer): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 2_048 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) },
    { weight: 4, arbitrary: mutatedBytes(valid) },
  );
}
