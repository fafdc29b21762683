import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemShape } from '../../protocol/check-in.ts';
import { cpuStopwatch } from '../support/cpu-time.ts';
import { archiveCases } from '../support/hostile/archive-cases.ts';
import { contentCases } from '../support/hostile/content-cases.ts';
import { frameCases, withFrame } from '../support/hostile/frame-cases.ts';
import { pathCases } from '../support/hostile/path-cases.ts';
import { type BundleParts, programOf, sampleRelease, signedParts, writeBundle } from '../support/hostile/sample.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { TestServer } from '../support/test-server.ts';

/** Longest that one upload may keep the server busy. */
const busyMsMax = 5_000;

const manifestCases = [...pathCases, ...contentCases].map((one, index) => ({ ...one, version: `2.0.${index}` }));
const chunkCases = frameCases.map((one, index) => ({ ...one, version: `3.0.${index}` }));

let bench: TestServer;
let bundles: string;
let parts: BundleParts;

beforeAll(async () => {
  bench = await TestServer.start();
  bundles = join(bench.directory, 'hostile');
  mkdirSync(bundles);
  const repository = await bench.repository();
  const add = async (version: string, manifest: unknown, chunks: Buffer): Promise<BundleParts> => {
    const bytes = Buffer.isBuffer(manifest) ? manifest : Buffer.from(JSON.stringify(manifest));
    const made = await signedParts(repository, version, bytes, chunks);
    writeBundle(bundles, version, made);
    return made;
  };
  for (const { version, change } of manifestCases) {
    const { manifest, chunks } = sampleRelease(version);
    await add(version, change(manifest), chunks);
  }
  for (const one of chunkCases) {
    const { manifest, chunks } = withFrame(sampleRelease(one.version), programOf(one.version), one);
    await add(one.version, manifest, chunks);
  }
  const odd = sampleRelease('8.0.0');
  parts = await add('8.0.0', odd.manifest, odd.chunks);
  const { manifest, chunks } = sampleRelease('1.0.0');
  await add('1.0.0', manifest, chunks);
  expect((await bench.upload(join(bundles, '1.0.0.hfb'))).status).toBe(201);
});

afterAll(() => bench[Symbol.asyncDispose]());

/** Refused with one of these codes, a sentence and what to do next; quickly, and nothing on the shelf is another. */
async function expectRefused(path: string, codes: readonly string[]): Promise<void> {
  const shelf = join(bench.data, 'releases');
  const before = treeDigest(shelf);
  const busyMs = cpuStopwatch();
  const answer = await bench.upload(path);
  expect(busyMs()).toBeLessThan(busyMsMax);
  expect([answer.status, answer.body]).toEqual([422, expect.anything()]);
  const problem = problemShape.parse(answer.body);
  expect(codes).toContain(problem.code);
  expect([problem.message.length > 20, (problem.next ?? '').length > 10]).toEqual([true, true]);
  expect(treeDigest(shelf)).toBe(before);
}

describe('publishing, by somebody who can sign', () => {
  it.each(manifestCases)('refuses a manifest with $name', async ({ version }) => {
    await expectRefused(join(bundles, `${version}.hfb`), [
      'bundle-malformed',
      'chunk-corrupt',
      'release-not-startable',
    ]);
  });

  it.each(chunkCases)('refuses a frame $name', async ({ version }) => {
    await expectRefused(join(bundles, `${version}.hfb`), ['chunk-corrupt']);
  });

  it('says that the server is too old for a manifest that asks for what it does not know', async () => {
    const { version } = manifestCases.find(({ code }) => code === 'incompatible') ?? { version: 'none' };
    const { body } = await bench.upload(join(bundles, `${version}.hfb`));
    expect(problemShape.parse(body).next).toContain('update the server');
  });
});

describe('publishing a file', () => {
  it.each(archiveCases)('refuses one with $name', async ({ make }) => {
    const path = join(bundles, 'odd.hfb');
    writeFileSync(path, make(parts));
    await expectRefused(path, ['bundle-malformed', 'manifest-mismatch']);
  });

  it('takes the next good one', async () => {
    const { manifest, chunks } = sampleRelease('9.0.0');
    const made = await signedParts(await bench.repository(), '9.0.0', Buffer.from(JSON.stringify(manifest)), chunks);
    expect((await bench.upload(writeBundle(bundles, '9.0.0', made))).status).toBe(201);
  });
});
