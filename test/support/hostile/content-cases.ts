import { sha256 } from '../../../protocol/digest.ts';
import { treeDigestInput } from '../../../protocol/payload.ts';
import { changed } from '../../protocol/examples.ts';
import type { ManifestCase } from './path-cases.ts';
import type { Sampled } from './sample.ts';

const wrong = (name: string, change: ManifestCase['change']): ManifestCase => ({ name, code: 'bad-manifest', change });

/** One field with another value. */
function set(name: string, path: readonly (string | number)[], value: unknown): ManifestCase {
  return wrong(name, (sample) => changed(sample, path, value));
}

/** One number, written as JSON has it, because JavaScript would write it otherwise. */
function written(name: string, text: string): ManifestCase {
  return wrong(name, (sample) =>
    Buffer.from(JSON.stringify({ ...sample, stateBytesMax: 31_415 }).replace('31415', text)),
  );
}

const numbers: readonly ManifestCase[] = [
  set('a negative size', ['files', 0, 'size'], -1),
  set('a size with a fraction', ['files', 0, 'size'], 10.5),
  set('a size as text', ['files', 0, 'size'], '11'),
  written('a number beyond 2^53', '9007199254740993'),
  written('a number beyond 2^64', '18446744073709551616'),
  written('a number that becomes infinite', '1e400'),
  written('a negative number', '-1'),
  set('a security version beyond 2^53', ['securityVersion'], 2 ** 60),
  set('a chunk of no bytes', ['chunks', 0, 'size'], 0),
  set('a chunk that is larger than anybody unpacks', ['chunks', 0, 'size'], 64 * 1024 * 1024),
  set('a frame at a negative place', ['chunks', 0, 'offset'], -1),
  set('a frame of no bytes', ['chunks', 0, 'stored'], 0),
  set('a chunk by a negative index', ['files', 0, 'chunks', 0], -1),
  set('a chunk by an index with a fraction', ['files', 0, 'chunks', 0], 0.5),
  set('a chunk that is not listed', ['files', 0, 'chunks', 0], 2),
  set('chunks that do not add up', ['files', 0, 'size'], 12),
  set('a mode instead of a yes', ['files', 0, 'executable'], 0o4755),
  set('a trial that cannot be passed', ['trial'], { healthyMs: 2, deadlineMs: 1 }),
  wrong('a file of more bytes than any slot has', (sample) => ({
    ...sample,
    chunks: [{ ...sample.chunks[0], size: 4 * 1024 * 1024 }],
    files: [{ ...sample.files[0], size: 2_049 * 4 * 1024 * 1024, chunks: Array.from({ length: 2_049 }, () => 0) }],
    links: [],
  })),
  wrong('files that are together larger than any slot', (sample) => ({
    ...sample,
    chunks: [{ ...sample.chunks[0], size: 4 * 1024 * 1024 }],
    files: ['main.js', 'more.js'].map((path) => ({
      ...sample.files[0],
      path,
      size: 1_025 * 4 * 1024 * 1024,
      chunks: Array.from({ length: 1_025 }, () => 0),
    })),
    links: [],
  })),
];

const frames: readonly ManifestCase[] = [
  wrong('one chunk twice', (sample) => changed(sample, ['chunks', 1, 'sha256'], sample.chunks[0]?.sha256)),
  wrong('a gap between frames', (sample) =>
    changed(sample, ['chunks', 1, 'offset'], (sample.chunks[1]?.offset ?? 0) + 1),
  ),
  wrong('frames that overlap', (sample) =>
    changed(sample, ['chunks', 1, 'offset'], (sample.chunks[1]?.offset ?? 0) - 1),
  ),
  wrong('patches that overlap', (sample) => patched(sample, [{ offset: 0 }, { offset: 5 }])),
  wrong('a patch beyond its base', (sample) => patched(sample, [{ position: 90, length: 11 }])),
  wrong('a patch of a base that is not listed', (sample) => patched(sample, [{ base: 1 }])),
  wrong('a patch with a dictionary that is too large', (sample) =>
    patched(sample, [{ length: 3 * 1024 * 1024, extents: 2 }], 100 * 1024 * 1024),
  ),
  wrong('a patch with a hundred pieces', (sample) => patched(sample, [{ extents: 100 }])),
  {
    ...wrong('patches that the bundle has not', (sample) => patched(sample, [{}])),
    code: 'bad-bundle',
    needsMore: true,
  },
];

interface PatchNumbers {
  readonly offset?: number;
  readonly base?: number;
  readonly position?: number;
  readonly length?: number;
  readonly extents?: number;
}

function patched(sample: Sampled, patches: readonly PatchNumbers[], baseBytes = 100): Sampled {
  const made = patches.map(({ offset = 0, base = 0, position = 0, length = 10, extents = 1 }) => ({
    offset,
    stored: 10,
    dictionary: Array.from({ length: extents }, () => ({ base, position, length })),
  }));
  const chunks = sample.chunks.map((chunk, index) => (index === 0 ? { ...chunk, patches: made } : chunk));
  return { ...sample, chunks, bases: [{ sha256: sha256('base'), size: baseBytes }] };
}

const runtime = { digest: sha256('other'), name: 'node', entry: 'main.js' };

const shapes: readonly ManifestCase[] = [
  set('an entry that is not there', ['entry'], 'other.js'),
  set('no entry', ['entry'], null),
  set('a component that may not be files', ['component'], 'os'),
  set('an image in the place of files', ['image'], { size: 11, sha256: sha256('x'), chunks: [0] }),
  {
    ...wrong('a runtime that is not the one it lists', (sample) => ({
      ...sample,
      runtime: { ...runtime, files: sample.files },
    })),
    needsMore: true,
  },
  wrong('a runtime without its entry', (sample) => ({ ...sample, runtime: { ...runtime, files: [] } })),
  wrong('a runtime that leaves its place', (sample) => ({
    ...sample,
    runtime: { ...runtime, files: [...sample.files, { ...sample.files[0], path: '../../outside' }] },
  })),
  set('a list that is an object', ['files'], { length: 1, 0: {} }),
  wrong('fields that are only in __proto__', ({ entry, ...rest }) =>
    Buffer.from(`{"__proto__":${JSON.stringify({ entry })},${JSON.stringify(rest).slice(1)}`),
  ),
  wrong('fields that are only in constructor', ({ entry, ...rest }) => ({
    ...rest,
    constructor: { prototype: { entry } },
  })),
];

/** Well-formed, signed, and nothing that could be started: launch and the units start main.js, an agent on its own bin/node. */
const notStarted: readonly ManifestCase[] = [
  { ...set('no runtime for an agent', ['runtime'], null), needsMore: true },
  { ...set('a program of another name', ['entry'], 'lib/tool'), needsMore: true },
  {
    ...wrong('a runtime that cannot be executed', (sample) => {
      const files = (sample.runtime?.files ?? []).map((file) => ({ ...file, executable: false }));
      const digest = sha256(treeDigestInput(files));
      return { ...sample, runtime: { digest, name: 'node', entry: 'bin/node', files } };
    }),
    needsMore: true,
  },
];

const newer: readonly ManifestCase[] = [
  { ...set('a critical field that nobody knows', ['critical'], ['x']), code: 'incompatible' },
  {
    ...set('a critical field, in a shape that nobody knows', ['critical'], ['x']),
    code: 'incompatible',
    change: (sample) => ({ ...sample, critical: ['x'], files: { packed: true } }),
  },
  { ...set('a format that nobody knows', ['format'], 2), code: 'incompatible' },
  set('critical fields that are no list of names', ['critical'], [{ name: 'x' }]),
  set('a format that never was', ['format'], 0),
];

const unreadable = (name: string, change: (text: string) => Buffer): ManifestCase => ({
  name,
  code: 'bad-bundle',
  change: (sample) => change(JSON.stringify(sample)),
});
const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const many = (entry: string, count: number): string => `[${Array.from({ length: count }, () => entry).join(',')}]`;

const texts: readonly ManifestCase[] = [
  unreadable('no bytes', () => Buffer.alloc(0)),
  unreadable('null', () => Buffer.from('null')),
  unreadable('a list', (text) => Buffer.from(`[${text}]`)),
  unreadable('no JSON', () => Buffer.from('format: 1')),
  unreadable('something behind it', (text) => Buffer.from(`${text}x`)),
  unreadable('a byte order mark', (text) => Buffer.from(`\ufeff${text}`)),
  unreadable('bytes that are not UTF-8', (text) =>
    Buffer.from(text.replace('builtBy":"', 'builtBy":"\u00ff'), 'latin1'),
  ),
  unreadable('UTF-16', (text) => Buffer.from(text, 'utf16le')),
  unreadable('nested a hundred deep', (text) => Buffer.from(`{"x":${deep(100)},${text.slice(1)}`)),
  unreadable('nested a million deep', (text) => Buffer.from(`{"x":${deep(1_000_000)},${text.slice(1)}`)),
  unreadable('a component that never was', (text) => Buffer.from(text.replace('"app"', '"kernel"'))),
  unreadable('a version with a line break', (text) => Buffer.from(text.replace('"version":"', '"version":"\\n'))),
  unreadable('a million files', (text) =>
    Buffer.from(text.replace('"files":[', `"files":[${many('{}', 1_000_000).slice(1, -1)},`)),
  ),
  wrong('a million chunks in one file', (sample) =>
    Buffer.from(JSON.stringify(sample).replace('"chunks":[0]', `"chunks":${many('0', 1_000_000)}`)),
  ),
  wrong('a hundred thousand files without anything', (sample) =>
    Buffer.from(JSON.stringify({ ...sample, files: 0 }).replace('"files":0', `"files":${many('{}', 100_000)}`)),
  ),
  wrong('more uses of chunks than a payload can need', (sample) => ({
    ...sample,
    files: Array.from({ length: 21 }, (_, index) => ({
      ...sample.files[0],
      path: `f${index}`,
      size: 10_000 * (sample.files[0]?.size ?? 0),
      chunks: Array.from({ length: 10_000 }, () => 0),
    })),
    entry: 'f0',
    links: [],
  })),
];

/** What the contents of a manifest may not be. */
export const contentCases: readonly ManifestCase[] = [
  ...numbers,
  ...frames,
  ...shapes,
  ...notStarted,
  ...newer,
  ...texts,
];
