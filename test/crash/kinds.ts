import type { Layout } from '../../protocol/layout.ts';
import type { DiskState } from './disk.ts';
import type { HealthSocket } from './model-agent.ts';
import { type ModelAppliance, type Surroundings, stickPath } from './model-appliance.ts';
import type { Served } from './model-server.ts';
import { type DiskName, diskOf, type ReleaseName, type Scenes, weekMs } from './scenes.ts';

/** One kind of transaction: the disk that it begins on, what is done, and what may be the case in the end. */
export interface Kind {
  readonly name: string;
  readonly disk: DiskState;
  readonly around: Surroundings;
  /** Versions that may be committed in the end. */
  readonly mayCommit: readonly string[];
  /** What it comes to without a cut, as versions. */
  readonly ends: { readonly committed: string; readonly updater: string; readonly quarantined: string | null };
  /** Versions of the updater that may be committed in the end. */
  readonly mayCommitUpdater: readonly string[];
  /** The disk of this kind lost what was synced: it may end in safe mode. */
  readonly maySafe: boolean;
  /** A person may give up today's data for that of before: it goes with this version, and today's is put aside. */
  readonly givesUpFor: string | null;
  act(appliance: ModelAppliance): void;
}

interface Draft {
  readonly name: string;
  readonly on: DiskName;
  /** What is committed without a cut, and what else may be after one. */
  readonly ends: ReleaseName;
  readonly orEnds?: readonly ReleaseName[];
  /** The updater that is committed without a cut, where another one comes; launch starts it as it starts the agent. */
  readonly endsUpdater?: ReleaseName;
  readonly orEndsUpdater?: readonly ReleaseName[];
  readonly quarantines?: ReleaseName;
  readonly broken?: readonly ReleaseName[];
  readonly diesAfter?: number;
  /** What the server wants; without it there is no network. */
  readonly wants?: ReleaseName;
  readonly rollbackWindowMs?: number;
  readonly maySafe?: boolean;
  readonly givesUpFor?: ReleaseName;
  act?(appliance: ModelAppliance, install: (name: ReleaseName) => object): void;
}

const backToData: Pick<Draft, 'on' | 'givesUpFor' | 'act'> = {
  on: 'rewritten',
  givesUpFor: 'good',
  act: (appliance) => appliance.ask({ kind: 'rollback', data: { tx: appliance.lastTx, ageH: 0 } }),
};

/** Every kind that is enumerated; what is left out is said in docs/power-cuts.md. */
const drafts: readonly Draft[] = [
  { name: 'first start', on: 'fresh', ends: 'factory' },
  {
    name: 'install from file',
    on: 'fresh',
    ends: 'good',
    orEnds: ['factory'],
    act: (appliance, install) => appliance.ask(install('good')),
  },
  { name: 'update from the server', on: 'fresh', ends: 'good', wants: 'good' },
  {
    name: 'failed trial',
    on: 'updated',
    ends: 'good',
    quarantines: 'broken',
    broken: ['broken'],
    act: (appliance, install) => appliance.ask(install('broken')),
  },
  {
    name: 'failed trial from the server',
    on: 'updated',
    ends: 'good',
    quarantines: 'broken',
    broken: ['broken'],
    diesAfter: 2,
    wants: 'broken',
  },
  {
    name: 'rollback by hand',
    on: 'updated',
    ends: 'factory',
    orEnds: ['good'],
    quarantines: 'good',
    act: (appliance) => appliance.ask({ kind: 'rollback' }),
  },
  {
    name: 'returning to a version that fails',
    on: 'updated',
    ends: 'good',
    broken: ['factory'],
    act: (appliance) => appliance.ask({ kind: 'rollback' }),
  },
  { name: 'back to data of before', ends: 'good', orEnds: ['rewriter'], quarantines: 'rewriter', ...backToData },
  { name: 'back to data of before, and it fails', ends: 'rewriter', broken: ['good'], ...backToData },
  {
    name: 'out of a crash loop',
    on: 'updated',
    ends: 'factory',
    orEnds: ['good'],
    quarantines: 'good',
    broken: ['good'],
    wants: 'good',
  },
  {
    name: 'a crash loop that nothing helps',
    on: 'updated',
    ends: 'good',
    broken: ['good', 'factory'],
    wants: 'good',
  },
  { name: 'closing', on: 'updated', ends: 'good', rollbackWindowMs: 0 },
  {
    name: 'a request in the middle',
    on: 'updated',
    ends: 'good',
    orEnds: ['newer'],
    act: (appliance, install) => {
      appliance.ask(install('newer'));
      appliance.onLine = (line) => {
        if (!line.startsWith('armed -> trial')) return;
        appliance.onLine = () => undefined;
        appliance.ask({ kind: 'rollback' });
      };
    },
  },
  { name: 'a damaged slot', on: 'rotten', ends: 'factory' },
  {
    name: 'every slot damaged, and a bundle',
    on: 'all rotten',
    ends: 'newer',
    orEnds: ['good'],
    maySafe: true,
    act: (appliance, install) => appliance.ask(install('newer')),
  },
  {
    name: 'self-update from file',
    on: 'fresh',
    ends: 'factory',
    endsUpdater: 'new updater',
    orEndsUpdater: ['updater'],
    act: (appliance, install) => appliance.ask(install('new updater')),
  },
  {
    name: 'self-update from the server',
    on: 'fresh',
    ends: 'factory',
    endsUpdater: 'new updater',
    wants: 'new updater',
  },
  {
    name: 'an updater that fails in its trial',
    on: 'fresh',
    ends: 'factory',
    endsUpdater: 'updater',
    quarantines: 'broken updater',
    broken: ['broken updater'],
    wants: 'broken updater',
  },
];

export const kindNames = drafts.map(({ name }) => name);

function wantsOf({ component, version, manifest }: Scenes['releases'][ReleaseName]): Served['wants'] {
  if (component === 'os') throw new RangeError('no kind is about the operating system');
  return { component, version, manifest };
}

export function kindsOf(scenes: Scenes, layout: Layout, socket: HealthSocket): Kind[] {
  const { releases, key, served } = scenes;
  const versionsOf = (names: readonly ReleaseName[]) => names.map((name) => releases[name].version);
  const install = (name: ReleaseName) => ({ kind: 'install', file: stickPath(releases[name]) });
  return drafts.map((draft): Kind => {
    const {
      name,
      on,
      ends,
      orEnds = [],
      endsUpdater,
      orEndsUpdater = [],
      quarantines,
      broken = [],
      diesAfter = 0,
      wants,
      rollbackWindowMs = weekMs,
      maySafe = false,
      givesUpFor,
      act,
    } = draft;
    const wanted = wants === undefined ? null : releases[wants];
    return {
      name,
      disk: diskOf(scenes, on),
      mayCommit: versionsOf([ends, ...orEnds]),
      mayCommitUpdater: versionsOf([endsUpdater ?? 'updater', ...orEndsUpdater]),
      ends: {
        committed: releases[ends].version,
        updater: releases[endsUpdater ?? 'updater'].version,
        quarantined: quarantines === undefined ? null : releases[quarantines].version,
      },
      maySafe,
      givesUpFor: givesUpFor === undefined ? null : releases[givesUpFor].version,
      around: {
        layout,
        socket,
        key,
        rollbackWindowMs,
        broken: versionsOf(broken),
        selfUpdates: endsUpdater !== undefined,
        diesAfter,
        released: Object.values(releases).map(({ manifest }) => manifest),
        served: wanted === null ? null : { ...served, wants: wantsOf(wanted) },
      },
      act: (appliance) => act?.(appliance, install),
    };
  });
}
