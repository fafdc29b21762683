import { describe, expect, it } from 'vitest';
import { BundleError, readBundle } from '../../protocol/read-bundle.ts';

const blockBytes = 512;
const trailer = Buffer.alloc(2 * blockBytes);

/** One entry as POSIX ustar has it: mode 0644, owner 0, time 0. */
function entry(name: string, content: string): Buffer {
  const header = Buffer.alloc(blockBytes);
  const put = (text: string, at: number) => header.write(text, at, 'latin1');
  put(name, 0);
  put('000644 \0', 100);
  for (const at of [108, 116, 329, 337]) put('000000 \0', at);
  put(`${content.length.toString(8).padStart(10, '0')} \0`, 124);
  put('0000000000 \0', 136);
  put(' '.repeat(8), 148);
  put('0', 156);
  put('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')} \0`, 148);
  const padding = Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes);
  return Buffer.concat([header, Buffer.from(content), padding]);
}

const rootOf = (version: number) => entry(`metadata/${version}.root.json`, `root ${version}`);
const targets = entry('metadata/targets.json', 'targets');
const manifest = entry('manifest.json.zst', 'manifest');
const chunks = entry('chunks', 'frames');

function reading(...parts: readonly Buffer[]) {
  const bytes = Buffer.concat(parts);
  return readBundle({
    size: bytes.length,
    read: async (position, size) => bytes.subarray(position, position + size),
  });
}

describe('a bundle', () => {
  it('is read to its roots, its targets, its manifest, and the places of its frames', async () => {
    const parts = [rootOf(4), rootOf(5), targets, manifest, entry('patches', 'patch'), chunks];
    const read = await reading(...parts, trailer);
    expect(read.roots.map(({ version, bytes }) => [version, bytes.toString()])).toEqual([
      [4, 'root 4'],
      [5, 'root 5'],
    ]);
    expect([read.targets, read.release?.manifestFrame].map(String)).toEqual(['targets', 'manifest']);
    expect(read.release?.patches).toEqual({ position: 9 * blockBytes, size: 5 });
    expect(read.release?.chunks).toEqual({ position: 11 * blockBytes, size: 6 });
    expect(read.trailerBytes).toBe(trailer.length);
  });

  it('may carry metadata only, or no patches', async () => {
    expect((await reading(rootOf(1), targets, trailer)).release).toBeNull();
    expect((await reading(targets, manifest, chunks, trailer)).release?.patches).toBeNull();
  });

  const hidden = Buffer.from(targets);
  hidden[targets.length - 1] = 1;
  const linked = Buffer.from(manifest);
  linked.write('2', 156);

  it.each([
    ['another file', 'not-a-bundle', [Buffer.alloc(blockBytes, 'x'), trailer]],
    ['an empty file', 'truncated', []],
    ['a gap in its roots', 'bad-bundle', [rootOf(1), rootOf(3), targets, trailer]],
    ['no targets', 'bad-bundle', [rootOf(1), manifest, chunks, trailer]],
    ['its entries in another order', 'bad-bundle', [targets, chunks, manifest, trailer]],
    ['an entry twice', 'bad-bundle', [targets, targets, trailer]],
    ['an entry that is a link', 'bad-bundle', [targets, linked, chunks, trailer]],
    ['bytes hidden in the filling of an entry', 'bad-bundle', [hidden, manifest, chunks, trailer]],
    ['more behind its end', 'bad-bundle', [targets, manifest, chunks, trailer, chunks]],
    ['no end', 'truncated', [targets, manifest, chunks]],
    ['half of an entry', 'truncated', [targets, manifest.subarray(0, 600)]],
  ] as const)('is refused with %s', async (_, code, parts) => {
    const error: unknown = await reading(...parts).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BundleError);
    expect(error).toMatchObject({ code });
  });
});
