import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { fileSource } from '../../updater/release/byte-source.ts';
import { openBundle } from '../../updater/release/open-bundle.ts';
import {
  type BuiltRelease,
  makeAppliance,
  makeReleaseFixture,
  noise,
  type ReleaseFixture,
} from '../support/bundle-fixture.ts';
import { type ReleaseServer, startReleaseServer } from '../support/release-server.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { setUp } from '../updater/release/install.ts';

/** Places to kill at: the same ones each time, spread over the whole bundle. 40 of them gave the same picture. */
const cuts = 12;
/** What is read of a bundle before anything is known of it; it is read again after a kill, whatever is in it. */
const firstReadBytes = 128 * 1024;

let fixture: ReleaseFixture;
let server: ReleaseServer;
let release: BuiltRelease;
let bundleBytes = 0;
let chunks = 0;
let chunkBytesMax = 0;

beforeAll(async () => {
  fixture = await makeReleaseFixture();
  // Half of it compresses, so that chunks have many sizes.
  const text = Buffer.from(Array.from({ length: 400_000 }, (_, line) => `line ${line}\n`).join(''));
  release = await fixture.build({
    version: '1.0.52',
    files: { 'main.js': noise('main', 12_000_000), 'words.txt': text },
  });
  fixture.publish([release]);
  server = await startReleaseServer(fixture.servedDir);
  const bundle = await openBundle(fileSource(realFiles, release.path));
  const manifest = manifestShape.parse(JSON.parse(bundle.manifestBytes.toString('utf8')));
  chunks = manifest.chunks.length;
  chunkBytesMax = Math.max(...manifest.chunks.map(({ stored }) => stored));
  bundleBytes = bundle.source.size;
  bundle.source.close();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  fixture[Symbol.dispose]();
});

/** @returns the bytes of the bundle that were received; null when it was killed as it was told */
async function fetched(root: string, killAt: number | null): Promise<number | null> {
  const { component, version, manifest } = release;
  const words = ['--root', root, '--base', server.base, '--release', JSON.stringify({ component, version, manifest })];
  const program = `${checkout}/test/support/killing/killed-fetcher.ts`;
  const kill = killAt === null ? [] : ['--kill-at', String(killAt)];
  const ended = await execa(nodeBinary, [program, ...words, ...kill], { reject: false });
  if (killAt !== null) {
    expect([ended.signal, killAt]).toEqual(['SIGKILL', killAt]);
    return null;
  }
  return z.object({ received: z.int() }).parse(JSON.parse(ended.stdout)).received;
}

async function withAppliance<T>(work: (root: string) => Promise<T>): Promise<T> {
  using appliance = makeAppliance();
  setUp(fixture, appliance.layout);
  return await work(appliance.layout.root);
}

describe('a fetch that is killed at any byte', () => {
  it(`fetches at most one chunk again, at each of ${cuts} places`, async () => {
    expect(chunks).toBeGreaterThan(20);
    const whole = await withAppliance((root) => fetched(root, null));
    if (whole === null) throw new RangeError('nothing was received');
    expect(whole).toBeLessThanOrEqual(bundleBytes);
    const again: number[] = [];
    for (let cut = 1; cut <= cuts; cut += 1) {
      // Not in step with anything: where within a chunk it falls is another place each time.
      const spread = Number.parseInt(sha256(`cut ${cut}`).slice(0, 8), 16) / 0xffff_ffff;
      const at = Math.max(1, Math.floor(((cut - spread) / cuts) * (whole - 1)));
      again.push(
        await withAppliance(async (root) => {
          await fetched(root, at);
          return at + ((await fetched(root, null)) ?? 0) - whole;
        }),
      );
    }
    const most = Math.max(...again);
    process.stdout.write(`${chunks} chunks of at most ${chunkBytesMax} bytes; fetched again: at most ${most} bytes\n`);
    expect(most).toBeLessThanOrEqual(chunkBytesMax + firstReadBytes);
    // It is really killed in the middle: something was there, and something is lost now and then.
    expect(most).toBeGreaterThan(0);
  });
});
