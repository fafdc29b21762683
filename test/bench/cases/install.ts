import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { buildBundle } from '../../../image/bundle.ts';
import { openRepository } from '../../../image/repository.ts';
import { readServerKeys } from '../../../image/repository-keys.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { readSeal } from '../../../updater/release/verify-slot.ts';
import type { ApplianceBox } from '../../support/world/appliance-box.ts';
import { Builder, thinRuntime } from '../../support/world/builder.ts';
import { nodeBinary } from '../../support/world/checkout.ts';
import { World } from '../../support/world/world.ts';
import { writePayload } from '../install/payload.ts';
import { type Peer, pipe, rauc, swupdate } from '../install/peers.ts';
import { dropCaches, peakMemoryOf, requireTools, secondsOf } from '../install/timing.ts';
import { type Measured, medianOf } from '../result.ts';

/**
 * Installing from a file, as a technician waits for it: `holdfast-updater install FILE` on an appliance, against other
 * updaters with the same image, and a tree of files against tar. Caches are dropped before each run; each run ends with
 * everything synced and read back.
 */
const megabytes = 512;
const runs = 5;
const lookEveryMs = 20;

interface Bench {
  readonly world: World;
  readonly box: ApplianceBox;
  readonly tell: (measured: Measured) => void;
  readonly progress: (text: string) => void;
}

export async function run(tell: Bench['tell'], progress: Bench['progress']): Promise<void> {
  await requireTools(['rauc', 'swupdate', 'dbus-daemon', 'losetup', 'zstd', 'cpio', 'openssl']);
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-bench-install-'));
  const world = new World(dir, thinRuntime(join(dir, 'thin')));
  try {
    await world.found('1.0.52', 1);
    const devices = { '0': join(dir, 'os-0'), '1': join(dir, 'os-1') };
    for (const device of Object.values(devices)) {
      writeFileSync(device, '');
      truncateSync(device, megabytes * 1024 * 1024);
    }
    const box = await world.addAppliance('bench', {
      trial: { healthyMs: 300, deadlineMs: 60_000 },
      settings: { sampleMs: 100, os: { slots: devices, running: '0' } },
    });
    await box.powerOn();
    const bench = { world, box, tell, progress };
    await benchDevice(bench, dir);
    await benchTree(bench, dir);
  } finally {
    await world.end();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The most memory that the updater has while some work goes on. */
async function updaterPeak(box: ApplianceBox, work: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  let isOver = false;
  const watch = (async () => {
    while (!isOver) {
      for (const pid of box.processes('main.js run')) peak = Math.max(peak, peakMemoryOf(pid) ?? 0);
      await delay(lookEveryMs);
    }
  })();
  await work();
  isOver = true;
  await watch;
  return peak;
}

async function benchDevice({ world, box, tell, progress }: Bench, dir: string): Promise<void> {
  const image = join(dir, 'image.raw');
  writePayload(image, 'install', megabytes);
  const bundle = await buildBundle({
    payload: { kind: 'image', file: image },
    component: 'os',
    version: '13.0.0',
    securityVersion: 1,
    compatibility: { state: { reads: { min: 0, max: 0 }, writes: 0 } },
    stateBytesMax: 0,
    source: { commit: 'bench', builtBy: 'bench' },
    sbom: sha256(''),
    repository: await openRepository({
      dir: join(world.builder.dir, 'repository'),
      serverKeys: await readServerKeys(world.server.publicKeys),
      now: () => new Date(),
    }),
    outDir: dir,
  });
  const peers: Peer[] = [await pipe(dir, image), await swupdate(dir, image), await rauc(dir, image)];
  const seconds = new Map<string, number[]>(['holdfast', ...peers.map(({ name }) => name)].map((name) => [name, []]));
  const peaks: number[] = [];
  try {
    for (let round = 0; round < runs; round += 1) {
      rmSync(box.layout.slot('os', '1'), { recursive: true, force: true });
      const install = () => box.updaterProgram(['install', bundle.path]);
      peaks.push(
        await updaterPeak(box, async () => {
          seconds.get('holdfast')?.push(await secondsOf(install));
        }),
      );
      if (!readFileSync(join(dir, 'os-1')).equals(readFileSync(image))) throw new Error('the image is not in the slot');
      for (const peer of peers) seconds.get(peer.name)?.push(await secondsOf(() => peer.install()));
      progress(`device, round ${round + 1} of ${runs}: ${JSON.stringify(Object.fromEntries(seconds))}`);
    }
  } finally {
    for (const peer of peers) await peer.end();
  }
  const value = medianOf(seconds.get('holdfast') ?? []);
  const targets: Readonly<Record<string, number>> = { rauc: 0.55, swupdate: 1 };
  for (const { name } of peers) {
    const peer = { name, value: medianOf(seconds.get(name) ?? []) };
    tell({
      bench: 'install',
      case: 'device 512 MB',
      metric: 'time',
      value,
      unit: 's',
      peer,
      atMost: targets[name] ?? 1.15,
    });
  }
  tell({
    bench: 'install',
    case: 'device 512 MB',
    metric: 'peak memory',
    value: Math.max(...peaks),
    unit: 'MB',
    atMost: 128,
  });
}

/** A release with a Node of its own, on appliances that have none of it; from the command to the sealed slot. */
async function benchTree({ world, tell, progress }: Bench, dir: string): Promise<void> {
  const builder = new Builder(world.builder.dir, world.server.publicKeys, nodeBinary);
  const bundle = await builder.unpatched('3.0.0');
  const own: number[] = [];
  const tar: number[] = [];
  const peaks: number[] = [];
  const packed = join(dir, 'tree.tar.zst');
  for (let round = 0; round < runs; round += 1) {
    const box = await world.addAppliance(`tree-${round}`, {
      trial: { healthyMs: 300, deadlineMs: 60_000 },
      settings: { sampleMs: 100 },
    });
    await box.powerOn();
    let sealedAfterS = 0;
    peaks.push(
      await updaterPeak(box, async () => {
        await dropCaches();
        const startedMs = performance.now();
        const installing = box.updaterProgram(['install', bundle.path]);
        const seal = join(box.layout.slot('app', '0'), '.seal');
        while (!existsSync(seal)) await delay(lookEveryMs / 4);
        sealedAfterS = (performance.now() - startedMs) / 1000;
        await installing;
      }),
    );
    own.push(sealedAfterS);
    if (round === 0) await packTree(box, join(dir, 'tree'), packed);
    await box.powerOff();
    const target = join(dir, `untarred-${round}`);
    mkdirSync(target);
    tar.push(await secondsOf(() => untar(packed, target)));
    rmSync(target, { recursive: true });
    progress(`tree, round ${round + 1} of ${runs}: ${own.at(-1)} s, tar ${tar.at(-1)} s`);
  }
  const peer = { name: 'tar --zstd -x, sync', value: medianOf(tar) };
  const common = { bench: 'install', case: 'agent tree' } as const;
  tell({ ...common, metric: 'time', value: medianOf(own), unit: 's', peer, atMost: 1.15 });
  tell({ ...common, metric: 'peak memory', value: Math.max(...peaks), unit: 'MB', atMost: 128 });
}

/** The same files as the slot has, and its runtime, as tar packs them. */
async function packTree(box: ApplianceBox, source: string, packed: string): Promise<void> {
  mkdirSync(source);
  await execa('cp', ['-a', box.layout.slot('app', '0'), join(source, 'slot')]);
  const { runtime } = readSeal(realFiles, box.layout.slot('app', '0')) ?? { runtime: null };
  if (runtime === null) throw new Error('the release has no runtime of its own');
  await execa('cp', ['-a', box.layout.runtime(runtime.digest), join(source, 'runtime')]);
  await execa('tar', ['--zstd', '-cf', packed, '-C', source, '.']);
}

async function untar(packed: string, target: string): Promise<void> {
  await execa('tar', ['--zstd', '-xf', packed, '-C', target]);
  await execa('sync', ['--file-system', target]);
  await execa('bash', ['-c', 'find "$1" -type f -print0 | xargs -0 sha256sum', 'read-back', target]);
}
