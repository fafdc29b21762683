import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import { z } from 'zod';
import { type Bundle, buildBundle } from '../../../image/bundle.ts';
import { updaterFlags } from '../../../image/development/supervisor/supervisor.ts';
import { buildOptions } from '../../../image/emit.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { agentPair, type Pair, rootPairs } from '../delta/inputs.ts';
import { peerBytes } from '../delta/peers.ts';
import { requireTools } from '../install/timing.ts';
import type { Measured } from '../result.ts';

/**
 * How many bytes travel from one release to the next, all of them (metadata, manifest, frames), fetched by the updater's
 * own code from a real server; against casync, zstd and xdelta3 on the same pair.
 */
type Tell = (measured: Measured) => void;

const figuresShape = z.object({
  travelled: z.number(),
  fetchS: z.number(),
  applyS: z.number(),
  peakMb: z.number(),
});

export async function run(tell: Tell, progress: (text: string) => void): Promise<void> {
  await requireTools(['casync', 'zstd', 'xdelta3', 'mmdebstrap', 'mkfs.ext4', 'mksquashfs']);
  const work = mkdtempSync(join(tmpdir(), 'holdfast-bench-delta-run-'));
  try {
    const apply = await emittedApply(work);
    const pairs = [await agentPair(work), ...(await rootPairs())];
    for (const pair of pairs) {
      progress(`${pair.name}: building and applying`);
      await benchPair(join(work, pair.name.replace(' ', '-')), pair, apply, tell, progress);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What applies an update, as JavaScript: types are not stripped on an appliance, which costs memory. */
async function emittedApply(work: string): Promise<string> {
  const outfile = join(work, 'apply.js');
  const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  const entryPoints = [join('test', 'bench', 'delta', 'apply.ts')];
  await build({ ...buildOptions(checkout), entryPoints, outdir: work, splitting: true, banner: { js: banner } });
  return outfile;
}

async function benchPair(
  work: string,
  pair: Pair,
  apply: string,
  tell: Tell,
  progress: (text: string) => void,
): Promise<void> {
  mkdirSync(work, { recursive: true });
  const fixture = await makeReleaseFixture();
  try {
    const before = await release(fixture, pair, 'before', []);
    const startedMs = performance.now();
    const after = await release(fixture, pair, 'after', [before.path]);
    const buildS = (performance.now() - startedMs) / 1000;
    const figures = await applied(fixture, pair, work, before, after, apply);
    progress(`${pair.name}: ${JSON.stringify({ ...figures, buildS })}`);
    const common = { bench: 'delta', case: pair.name } as const;
    const peers = await peerBytes(join(work, 'peers'), pair);
    const ofCasync = pair.name === 'agent' ? 0.25 : 0.5;
    // A squashfs is compressed already: nothing is gained on the two that work on bytes.
    const ofBytes = pair.name.endsWith('squashfs') ? 1 : 0.95;
    for (const { name, bytes } of peers) {
      const peer = { name, value: bytes };
      const atMost = name === 'casync' ? ofCasync : ofBytes;
      tell({ ...common, metric: 'bytes fetched', value: figures.travelled, unit: 'byte', peer, atMost });
    }
    tell({ ...common, metric: 'build', value: buildS, unit: 's' });
    tell({ ...common, metric: 'apply', value: figures.applyS, unit: 's' });
    tell({ ...common, metric: 'peak memory', value: figures.peakMb, unit: 'MB', atMost: 128 });
  } finally {
    fixture[Symbol.dispose]();
  }
}

const versions = { before: '3.0.0', after: '3.0.1' } as const;

function release(
  fixture: ReleaseFixture,
  pair: Pair,
  side: 'before' | 'after',
  bases: readonly string[],
): Promise<Bundle> {
  const runtime = { path: 'bin/node', source: join(pair[side], 'runtime', 'bin', 'node'), executable: true };
  return buildBundle({
    payload:
      pair.kind === 'image'
        ? { kind: 'image', file: pair[side] }
        : {
            kind: 'tree',
            dir: join(pair[side], 'slot'),
            entry: 'main.js',
            runtime: { name: 'node', entry: 'bin/node', files: [runtime] },
          },
    component: pair.kind === 'image' ? 'os' : 'app',
    version: versions[side],
    securityVersion: 0,
    compatibility: { state: { reads: { min: 0, max: 1 }, writes: 1 } },
    stateBytesMax: 0,
    source: { commit: 'bench', builtBy: 'bench' },
    sbom: sha256(''),
    bases,
    repository: fixture.repository,
    outDir: join(fixture.repository.dir, 'out'),
  });
}

async function applied(
  fixture: ReleaseFixture,
  pair: Pair,
  work: string,
  before: Bundle,
  after: Bundle,
  apply: string,
) {
  const component = pair.kind === 'image' ? 'os' : 'app';
  fixture.publish([{ component, version: versions.after, path: after.path, manifest: after.manifest }]);
  await using server = await startReleaseServer(fixture.servedDir);
  const trustRoot = join(work, 'root.json');
  copyFileSync(join(fixture.repository.dir, 'metadata', '1.root.json'), trustRoot);
  const order = {
    root: join(work, 'appliance'),
    trustRoot,
    before: before.path,
    after: { component, version: versions.after, manifest: after.manifest },
    base: server.base,
    deviceBytes: pair.kind === 'image' ? Math.max(statSync(pair.before).size, statSync(pair.after).size) : 0,
  };
  const step = (name: 'before' | 'after') =>
    execa(nodeBinary, [...updaterFlags, apply, JSON.stringify({ ...order, step: name })]);
  await step('before');
  const { stdout } = await step('after');
  return figuresShape.parse(JSON.parse(stdout));
}
