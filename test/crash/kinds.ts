import type { Layout } from '../../protocol/layout.ts';
import type { DiskState } from './disk.ts';
import type { HealthSocket } from './model-agent.ts';
import { type ModelAppliance, type Surroundings, stickPath } from './model-appliance.ts';
import { type DiskName, diskOf, type ReleaseName, type Scenes, weekMs } from './scenes.ts';

/** One kind of transaction: the disk that it begins on, what is done, and what may be the case in the end. */
export interface Kind {
  readonly name: string;
  readonly disk: DiskState;
  readonly around: Surroundings;
  /** Versions that may be committed in the end. */
  readonly mayCommit: readonly string[];
  /** The disk of this kind lost what was synced: it may end in safe mode. */
  readonly maySafe: boolean;
  act(appliance: ModelAppliance): void;
}

interface Draft {
  readonly name: string;
  readonly on: DiskName;
  readonly mayCommit: readonly ReleaseName[];
  readonly broken?: readonly ReleaseName[];
  /** What the server wants; without it there is no network. */
  readonly wants?: ReleaseName;
  readonly rollbackWindowMs?: number;
  readonly maySafe?: boolean;
  act?(appliance: ModelAppliance, install: (name: ReleaseName) => object): void;
}

/** Every kind that is enumerated; what is not is said in ARCHITECTURE.md. */
const drafts: readonly Draft[] = [
  { name: 'first start', on: 'fresh', mayCommit: ['factory'] },
  {
    name: 'install from file',
    on: 'fresh',
    mayCommit: ['factory', 'good'],
    act: (appliance, install) => appliance.ask(install('good')),
  },
  { name: 'update from the server', on: 'fresh', mayCommit: ['factory', 'good'], wants: 'good' },
  {
    name: 'failed trial',
    on: 'updated',
    mayCommit: ['good'],
    broken: ['broken'],
    act: (appliance, install) => appliance.ask(install('broken')),
  },
  { name: 'failed trial from the server', on: 'updated', mayCommit: ['good'], broken: ['broken'], wants: 'broken' },
  {
    name: 'rollback by hand',
    on: 'updated',
    mayCommit: ['good', 'factory'],
    act: (appliance) => appliance.ask({ kind: 'rollback' }),
  },
  {
    name: 'returning to a version that fails',
    on: 'updated',
    mayCommit: ['good'],
    broken: ['factory'],
    act: (appliance) => appliance.ask({ kind: 'rollback' }),
  },
  { name: 'closing', on: 'updated', mayCommit: ['good'], rollbackWindowMs: 0 },
  {
    name: 'a request in the middle',
    on: 'updated',
    mayCommit: ['good', 'newer', 'factory'],
    act: (appliance, install) => {
      appliance.ask(install('newer'));
      appliance.onLine = (line) => {
        if (!line.startsWith('armed -> trial')) return;
        appliance.onLine = () => undefined;
        appliance.ask({ kind: 'rollback' });
      };
    },
  },
  { name: 'a damaged slot', on: 'rotten', mayCommit: ['good', 'factory'] },
  {
    name: 'every slot damaged, and a bundle',
    on: 'all rotten',
    mayCommit: ['good', 'newer'],
    maySafe: true,
    act: (appliance, install) => appliance.ask(install('newer')),
  },
];

export const kindNames = drafts.map(({ name }) => name);

export function kindsOf(scenes: Scenes, layout: Layout, socket: HealthSocket): Kind[] {
  const { releases, key, served } = scenes;
  const versionsOf = (names: readonly ReleaseName[]) => names.map((name) => releases[name].version);
  const install = (name: ReleaseName) => ({ kind: 'install', file: stickPath(releases[name]) });
  return drafts.map((draft): Kind => {
    const { name, on, mayCommit, broken = [], wants, rollbackWindowMs = weekMs, maySafe = false, act } = draft;
    const wanted = wants === undefined ? null : releases[wants];
    return {
      name,
      disk: diskOf(scenes, on),
      mayCommit: versionsOf(mayCommit),
      maySafe,
      around: {
        layout,
        socket,
        key,
        rollbackWindowMs,
        broken: versionsOf(broken),
        released: Object.values(releases).map(({ manifest }) => manifest),
        served: wanted === null ? null : { ...served, wants: { version: wanted.version, manifest: wanted.manifest } },
      },
      act: (appliance) => act?.(appliance, install),
    };
  });
}
