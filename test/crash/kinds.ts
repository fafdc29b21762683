import type { Layout } from '../../protocol/layout.ts';
import type { BuiltRelease, ReleaseFixture } from '../support/bundle-fixture.ts';
import { type DiskState, settledDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { brokenVersion, type HealthSocket } from './model-agent.ts';
import { ModelAppliance, setUpOn, stickPath } from './model-appliance.ts';

/** What stays when the power goes is everything but this. */
export const volatile = ['hf/run'] as const;
const weekMs = 7 * 24 * 60 * 60_000;

/** One kind of transaction: the disk that it begins on, what is done, and what may be committed in the end. */
export interface Kind {
  readonly name: string;
  readonly disk: DiskState;
  readonly rollbackWindowMs: number;
  readonly mayCommit: readonly string[];
  act(appliance: ModelAppliance): void;
}

function settled(files: DiskFiles): DiskState {
  const { seen, nextInode } = files.disk;
  return settledDisk(seen, nextInode);
}

export interface Releases {
  readonly factory: BuiltRelease;
  readonly updater: BuiltRelease;
  readonly good: BuiltRelease;
  readonly broken: BuiltRelease;
}

export async function buildReleases(fixture: ReleaseFixture): Promise<Releases> {
  const app = (version: string, writes: number, securityVersion: number) =>
    fixture.build({
      version,
      securityVersion,
      files: { 'main.js': Buffer.from(`// ${version}`), 'lib/work.js': Buffer.from(`// work of ${version}`) },
      compatibility: { state: { reads: { min: 0, max: writes }, writes } },
    });
  const updater = await fixture.build({
    version: '1.0.0',
    component: 'updater',
    files: { 'main.js': Buffer.from('u') },
  });
  return {
    updater,
    factory: await app('1.0.49', 1, 0),
    good: await app('1.0.52', 1, 1),
    // It changes the data before it dies.
    broken: await app(brokenVersion, 2, 1),
  };
}

/** Every kind that is enumerated; what is not is said in ARCHITECTURE.md. */
export async function kindsOf(
  fixture: ReleaseFixture,
  releases: Releases,
  layout: Layout,
  socket: HealthSocket,
): Promise<Kind[]> {
  const { factory, updater, good, broken } = releases;
  const first = new DiskFiles();
  await setUpOn(first, layout, fixture, [factory, updater, good, broken]);
  const fresh = settled(first);
  const afterUpdate = new DiskFiles(fresh);
  const appliance = new ModelAppliance(afterUpdate, layout, 1, socket, weekMs);
  appliance.ask({ kind: 'install', file: stickPath(good) });
  const state = await appliance.comeToRest();
  if (state.app.committed.version !== good.version)
    throw new Error(`the update is not committed: ${appliance.lines.join('\n')}`);
  const updated = settled(afterUpdate);
  const nothing = () => undefined;
  return [
    { name: 'first start', disk: fresh, rollbackWindowMs: weekMs, mayCommit: [factory.version], act: nothing },
    {
      name: 'install from file',
      disk: fresh,
      rollbackWindowMs: weekMs,
      mayCommit: [factory.version, good.version],
      act: (on) => on.ask({ kind: 'install', file: stickPath(good) }),
    },
    {
      name: 'failed trial',
      disk: updated,
      rollbackWindowMs: weekMs,
      mayCommit: [good.version],
      act: (on) => on.ask({ kind: 'install', file: stickPath(broken) }),
    },
    {
      name: 'rollback by hand',
      disk: updated,
      rollbackWindowMs: weekMs,
      mayCommit: [good.version, factory.version],
      act: (on) => on.ask({ kind: 'rollback' }),
    },
    { name: 'closing', disk: updated, rollbackWindowMs: 0, mayCommit: [good.version], act: nothing },
  ];
}
