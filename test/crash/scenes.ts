import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { generateKeyPair, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { replaceFile } from '../../updater/effects/durable.ts';
import { type BuiltRelease, makeReleaseFixture } from '../support/bundle-fixture.ts';
import { type DiskState, imageOf, settledDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { type Inode, InodeTable } from './inodes.ts';
import type { HealthSocket } from './model-agent.ts';
import { ModelAppliance, setUpOn, stickPath } from './model-appliance.ts';
import { type Served, servedFiles } from './model-server.ts';

/** What stays when the power goes is everything but this. */
export const volatile = ['hf/run'] as const;
export const weekMs = 7 * 24 * 60 * 60_000;

const releaseNames = [
  'factory',
  'updater',
  'good',
  'newer',
  'broken',
  'rewriter',
  'new updater',
  'broken updater',
] as const;
export type ReleaseName = (typeof releaseNames)[number];
export type Releases = Readonly<Record<ReleaseName, Omit<BuiltRelease, 'path'>>>;

const diskNames = ['fresh', 'updated', 'rotten', 'all rotten', 'rewritten'] as const;
/** What the agent has stored since the switch, on the disk whose data only the newest version reads. */
export const dataOfToday = 'of this day';
export type DiskName = (typeof diskNames)[number];

interface StoredDisk {
  readonly inodes: readonly (readonly [number, Inode])[];
  readonly nextInode: number;
}

/** What every kind begins on. It is made once, and can be copied to other threads, so that all see the same digests. */
export interface Scenes {
  /** PEM of the updater's key. */
  readonly key: string;
  readonly releases: Releases;
  readonly disks: Readonly<Record<DiskName, StoredDisk>>;
  readonly served: Omit<Served, 'wants'>;
}

export function diskOf({ disks }: Scenes, name: DiskName): DiskState {
  const { inodes, nextInode } = disks[name];
  // A buffer that came from another thread is a plain array of bytes.
  const own = inodes.map(([number, inode]): [number, Inode] => {
    if (inode.kind !== 'file' || Buffer.isBuffer(inode.bytes)) return [number, inode];
    const { buffer, byteOffset, byteLength }: Uint8Array = inode.bytes;
    return [number, { ...inode, bytes: Buffer.from(buffer, byteOffset, byteLength) }];
  });
  return settledDisk(InodeTable.of(own), nextInode);
}

/** As the power left it: without tmpfs. */
function stored(files: DiskFiles): StoredDisk {
  const { seen, nextInode } = imageOf(settledDisk(files.disk.seen, files.disk.nextInode), [], [...volatile]);
  return { inodes: seen.entries(), nextInode };
}

/** One byte of a slot's program is another one; sizes stay. */
function rot(files: DiskFiles, layout: Layout, slot: string): void {
  const handle = files.openWrite(join(layout.slot('app', slot), 'main.js'));
  files.write(handle, Buffer.from('#'), 0);
  files.close(handle);
}

const nothingBroken = {
  rollbackWindowMs: weekMs,
  broken: [],
  selfUpdates: false,
  diesAfter: 0,
  released: [],
  served: null,
} as const;

export async function makeScenes(layout: Layout, socket: HealthSocket): Promise<Scenes> {
  const [answer, own] = [generateKeyPair(), generateKeyPair()];
  const fixture = await makeReleaseFixture(answer.publicKey);
  try {
    const app = (version: string, writes: number, securityVersion: number) =>
      fixture.build({
        version,
        securityVersion,
        files: { 'main.js': Buffer.from(`// ${version}`), 'lib/work.js': Buffer.from(`// work of ${version}`) },
        compatibility: { state: { reads: { min: 0, max: writes }, writes } },
      });
    const updater = (version: string) =>
      fixture.build({ version, component: 'updater', files: { 'main.js': Buffer.from(`// updater ${version}`) } });
    const releases = {
      factory: await app('1.0.49', 1, 0),
      updater: await updater('1.0.0'),
      good: await app('1.0.52', 1, 1),
      newer: await app('1.0.54', 1, 1),
      // It changes the data before it dies.
      broken: await app('1.0.53', 2, 1),
      'new updater': await updater('1.1.0'),
      'broken updater': await updater('1.1.1'),
      rewriter: await app('1.0.55', 2, 1),
    };
    const all = Object.values(releases);
    fixture.publish(all);
    const fresh = new DiskFiles();
    await setUpOn(fresh, layout, fixture, all);
    const key = privateKeyToPem(own.privateKey);
    const surroundings = { layout, socket, key, ...nothingBroken };
    const install = async (name: 'good' | 'rewriter', on: DiskFiles, boot: number) => {
      const files = new DiskFiles(settledDisk(on.disk.seen, on.disk.nextInode));
      const appliance = new ModelAppliance(files, boot, surroundings);
      appliance.ask({ kind: 'install', file: stickPath(releases[name]) });
      const { app: installed } = await appliance.comeToRest();
      if (installed.committed.version === releases[name].version) return { files, after: installed };
      throw new Error(`the update is not committed: ${appliance.lines.join('\n')}`);
    };
    const { files: updated, after } = await install('good', fresh, 1);
    const { files: rewritten } = await install('rewriter', updated, 2);
    const data = Buffer.from(JSON.stringify({ schema: 2, data: dataOfToday }));
    replaceFile(rewritten, layout.stateDb, data, 0o600);
    const rotten = new DiskFiles(updated.disk);
    rot(rotten, layout, after.committed.slot);
    const allRotten = new DiskFiles(rotten.disk);
    rot(allRotten, layout, 'factory');
    return {
      key,
      releases,
      disks: {
        fresh: stored(fresh),
        updated: stored(updated),
        rotten: stored(rotten),
        'all rotten': stored(allRotten),
        rewritten: stored(rewritten),
      },
      served: { answerKey: privateKeyToPem(answer.privateKey), files: servedFiles(fixture.servedDir) },
    };
  } finally {
    fixture[Symbol.dispose]();
  }
}
