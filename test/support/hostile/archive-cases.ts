import { zstdCompressSync } from 'node:zlib';
import { archive } from '../bundle-fixture.ts';
import { type BundleParts, type Entries, entriesOf } from './sample.ts';
import { binarySize, type OddHeader, oddEntry } from './tar-entry.ts';
import { boastingFrame, bomb, skippableFrame, wideWindow } from './zstd-frame.ts';

/** A file that is a bundle nearly; its manifest and metadata are signed and right. */
export interface ArchiveCase {
  readonly name: string;
  readonly make: (parts: BundleParts) => Buffer;
  readonly code: 'bad-bundle' | 'not-a-bundle' | 'truncated' | 'wrong-manifest';
}

const bad = (name: string, make: ArchiveCase['make']): ArchiveCase => ({ name, make, code: 'bad-bundle' });
const end = Buffer.alloc(1024);
const zeros = (length: number): Buffer => Buffer.alloc(length);

/** The bundle with one header written otherwise. */
function oddHeader(parts: BundleParts, name: string, odd: OddHeader): Buffer {
  const entries = entriesOf(parts).map(([entry, content]) => oddEntry(entry, content, entry === name ? odd : {}));
  return Buffer.concat([...entries, end]);
}

const header = (name: string, odd: OddHeader): ArchiveCase => bad(name, (parts) => oddHeader(parts, 'chunks', odd));

const headers: readonly ArchiveCase[] = [
  header('a hard link', { type: '1', linkName: 'manifest.json.zst' }),
  header('a link', { type: '2', linkName: '/etc/passwd' }),
  header('a character device', { type: '3' }),
  header('a block device', { type: '4' }),
  header('a directory', { type: '5' }),
  header('a FIFO', { type: '6' }),
  header('a contiguous file', { type: '7' }),
  header('a file of the old format', { type: '\0' }),
  header('a kind that nobody knows', { type: 'Z' }),
  header('a file that names a link', { linkName: '/etc/passwd' }),
  header('a mode with set-uid', { mode: '004755 ' }),
  header('an owner', { owner: '001750 ' }),
  header('an absolute name', { name: '/chunks' }),
  header('a name with ..', { name: '../chunks' }),
  header('a name with something behind its end', { name: 'chunks\0../../etc/passwd' }),
  header('a name of a hundred bytes', { name: 'c'.repeat(100) }),
  header('a directory of its own for the name', { prefix: '../..' }),
  header('a size beyond 2^53', { size: binarySize([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) }),
  header('a size of a few bytes in base 256', { size: binarySize([5]) }),
  header('a negative size', { size: Buffer.alloc(12, 0xff) }),
  header('a size with a minus', { size: Buffer.from('-0000000005\0') }),
  header('a size with a fraction', { size: Buffer.from('0000000.500\0') }),
  header('no size', { size: Buffer.from('           \0') }),
  header('a wrong checksum', { checksum: '000000 \0' }),
  { ...header('a size beyond the file', { size: Buffer.from('77777777777\0') }), code: 'truncated' },
];

const changedEntries = (name: string, change: (entries: Entries) => Entries): ArchiveCase =>
  bad(name, (parts) => archive(change(entriesOf(parts))));
const content = (name: string, entry: string, change: (bytes: Buffer) => Buffer): ArchiveCase =>
  changedEntries(name, (entries) => entries.map(([of, bytes]) => [of, of === entry ? change(bytes) : bytes]));
/** An entry put before the manifest. */
const inserted = (name: string, make: () => Buffer): ArchiveCase =>
  bad(name, (parts) => {
    const entries = entriesOf(parts).map(([of, bytes]) =>
      Buffer.concat([of === 'manifest.json.zst' ? make() : zeros(0), oddEntry(of, bytes)]),
    );
    return Buffer.concat([...entries, end]);
  });

const entryCases: readonly ArchiveCase[] = [
  inserted('a long name of GNU', () => oddEntry('././@LongLink', Buffer.from(`${'d/'.repeat(200)}\0`), { type: 'L' })),
  inserted('an extended header of PAX', () =>
    oddEntry('PaxHeader/x', Buffer.from('18 path=../../etc\n'), { type: 'x' }),
  ),
  inserted('a global header of PAX', () =>
    oddEntry('pax_global_header', Buffer.from('18 path=../../etc\n'), { type: 'g' }),
  ),
  inserted('an entry that nobody asked for', () => oddEntry('extra', Buffer.from('x'))),
  inserted('zeros between entries', () => zeros(512)),
  inserted('bytes between entries', () => Buffer.alloc(512, 'hidden')),
  inserted('twenty thousand entries', () => headersOf(20_000)),
  changedEntries('an entry twice', (entries) =>
    entries.flatMap((entry) => (entry[0] === 'manifest.json.zst' ? [entry, entry] : [entry])),
  ),
  changedEntries('the chunks twice', (entries) => [...entries, ...entries.slice(-1)]),
  changedEntries('the entries in another order', (entries) => [
    ...entries.slice(0, -2),
    ...entries.slice(-2).reverse(),
  ]),
  changedEntries('no manifest', (entries) => entries.filter(([name]) => name !== 'manifest.json.zst')),
  changedEntries('no targets', (entries) => entries.filter(([name]) => name !== 'metadata/targets.json')),
  changedEntries('a root that does not follow', (entries) => [
    ...entries.slice(0, 1),
    ['metadata/3.root.json', zeros(1)],
    ...entries.slice(1),
  ]),
  changedEntries('patches that nobody lists', (entries) => [
    ...entries.slice(0, -1),
    ['patches', Buffer.from('hidden')],
    ...entries.slice(-1),
  ]),
  content('more chunks than are signed', 'chunks', (bytes) => Buffer.concat([bytes, Buffer.from('hidden')])),
  content('fewer chunks than are signed', 'chunks', (bytes) => bytes.subarray(0, -1)),
];

function headersOf(count: number): Buffer {
  const block = oddEntry('many', zeros(0));
  return Buffer.alloc(count * block.length, block);
}

const manifests: readonly ArchiveCase[] = [
  content('a manifest that becomes 4 GiB', 'manifest.json.zst', () => bomb(4 * 1024 * 1024 * 1024)),
  content('a manifest that says it becomes 4 GiB', 'manifest.json.zst', (bytes) => boastingFrame(2n ** 32n, bytes)),
  content('a manifest with a window of 2 GiB', 'manifest.json.zst', (bytes) => wideWindow(21, bytes)),
  content('a manifest with bytes behind its frame', 'manifest.json.zst', (bytes) =>
    Buffer.concat([bytes, Buffer.from('hidden')]),
  ),
  content('a manifest in a skippable frame', 'manifest.json.zst', (bytes) => skippableFrame(bytes)),
  content('a manifest behind a skippable frame', 'manifest.json.zst', (bytes) =>
    Buffer.concat([skippableFrame(bytes), bytes]),
  ),
  content('a manifest of no bytes', 'manifest.json.zst', () => zeros(0)),
  content('a manifest in a frame of more than its bytes', 'manifest.json.zst', () => zeros(3 * 1024 * 1024)),
  {
    ...content('a manifest with a blank more', 'manifest.json.zst', () => zeros(0)),
    make: (parts) => {
      const longer = Buffer.concat([parts.manifest, Buffer.from(' ')]);
      return archive(entriesOf({ ...parts, manifestFrame: zstdCompressSync(longer) }));
    },
    code: 'wrong-manifest',
  },
];

const whole = (name: string, code: ArchiveCase['code'], change: (bytes: Buffer) => Buffer): ArchiveCase => ({
  name,
  code,
  make: (parts) => change(archive(entriesOf(parts))),
});

const wholes: readonly ArchiveCase[] = [
  whole('no bytes', 'truncated', () => zeros(0)),
  whole('zeros', 'not-a-bundle', () => zeros(10_240)),
  whole('a page of HTML', 'not-a-bundle', () => Buffer.from('<!doctype html>'.repeat(100))),
  whole('no end', 'truncated', (bytes) => bytes.subarray(0, -1_024)),
  whole('half an end', 'truncated', (bytes) => bytes.subarray(0, -512)),
  whole('something behind its end', 'bad-bundle', (bytes) => Buffer.concat([bytes, Buffer.from('hidden')])),
  whole('another bundle behind its end', 'bad-bundle', (bytes) => Buffer.concat([bytes, bytes])),
  whole('a megabyte of zeros behind its end', 'bad-bundle', (bytes) => Buffer.concat([bytes, zeros(1024 * 1024)])),
  whole('something in its end', 'bad-bundle', (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from('x')])),
  whole('something in the filling of a block', 'bad-bundle', (bytes) => {
    const copy = Buffer.from(bytes);
    // The last byte before the end is the filling of the chunks.
    copy.write('x', bytes.length - 1_025, 'latin1');
    return copy;
  }),
];

/** What an archive may not be. */
export const archiveCases: readonly ArchiveCase[] = [...headers, ...entryCases, ...manifests, ...wholes];
