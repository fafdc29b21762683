import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Files, Handle } from '../../updater/effects/files.ts';
import { withOperations } from '../updater/support/wrapped-files.ts';
import { Claims } from './claims.ts';
import { enumerateKind, type Options } from './enumerate-kind.ts';
import { type Kind, kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { modelLayout } from './model-appliance.ts';
import { replay } from './replay.ts';
import { makeScenes } from './scenes.ts';

/** The enumerator bites: what it guards against is planted below the production code, and caught. */
let socket: HealthSocket;
let kinds: Kind[];
const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
beforeAll(async () => {
  const layout = modelLayout(join(directory, 'agent.sock'));
  socket = await HealthSocket.listen(join(directory, 'agent.sock'));
  kinds = kindsOf(await makeScenes(layout, socket), layout, socket);
});
afterAll(async () => {
  await socket.close();
  rmSync(directory, { recursive: true });
});

function enumerated(name: string, options: Partial<Options> = {}) {
  const kind = kinds.find((one) => one.name === name);
  if (kind === undefined) throw new RangeError(name);
  return enumerateKind(kind, { seed: 1, samples: 8, budgetMs: 0, claims: new Claims(), ...options });
}

/** The same operations, each bound to its own disk, so that some can be exchanged; and the path of each handle. */
function bound(files: Files): {
  files: Files;
  pathOf: (handle: Handle) => string;
  /** What a path by a descriptor was opened as. */
  heldAt: (path: string) => string;
} {
  const paths = new Map<Handle, string>();
  const opening = new Set(['create', 'openWrite', 'openRead', 'openDirectory']);
  const proxy = new Proxy(files, {
    get: (target, key): unknown => {
      const operation: unknown = Reflect.get(target, key);
      if (typeof operation !== 'function') return operation;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(operation, target, args);
        if (opening.has(String(key))) paths.set(Number(result), String(args[0]));
        return result;
      };
    },
  });
  const heldAt = (path: string) => {
    const held = [...paths].findLast(([handle]) => files.pathOf(handle) === path);
    return held?.[1] ?? '';
  };
  return { files: proxy, pathOf: (handle) => paths.get(handle) ?? '', heldAt };
}

const unsynced = (isMeant: (path: string) => boolean) => (files: Files) => {
  const own = bound(files);
  return withOperations(
    { sync: (handle) => (isMeant(own.pathOf(handle)) ? undefined : own.files.sync(handle)) },
    own.files,
  );
};
const unsyncedDirectory = (isMeant: (path: string) => boolean) => (files: Files) => {
  const own = bound(files);
  return withOperations(
    {
      syncDirectory: (path) => (isMeant(path) || isMeant(own.heldAt(path)) ? undefined : own.files.syncDirectory(path)),
    },
    own.files,
  );
};

describe('a power cut at every step', () => {
  it('does no harm to a first start, with a second cut at every step of every recovery', async () => {
    const { violations, states, sampled } = await enumerated('first start', { budgetMs: 60_000 });
    expect(violations).toEqual([]);
    expect(sampled).toBe(0);
    expect(states).toBeGreaterThan(8);
  });

  it('does no harm to the end of a rollback window', async () => {
    const { violations, states } = await enumerated('closing');
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(40);
  });
});

const planted: readonly (readonly [string, string, (files: Files) => Files, RegExp])[] = [
  ['the state record not synced', 'install from file', unsynced((path) => path.includes('/state.')), /^I\d/],
  [
    'a slot not synced before its seal',
    'install from file',
    unsynced((path) => path.endsWith('/app/0/lib/work.js')),
    /^I\d/,
  ],
  [
    'directories of a slot not synced',
    'install from file',
    unsyncedDirectory((path) => path.includes('/slots/app')),
    /^I\d/,
  ],
  ['the snapshot not synced', 'failed trial', unsynced((path) => path.includes('/snapshots/')), /^I\d/],
  [
    'the restored state not synced by its directory',
    'failed trial',
    unsyncedDirectory((path) => path.endsWith('/agent')),
    /^I\d/,
  ],
];

describe('the enumerator catches', () => {
  it.each(planted)('%s (%s)', async (_what, kind, plant, sentence) => {
    const { violations } = await enumerated(kind, { plant, stopAtFirst: true });
    const [found] = violations;
    expect(found?.sentence).toMatch(sentence);
    // What a violation prints, replays it; and without the defect the same cuts do no harm.
    const { broken } = await replay(kinds, found?.token ?? '', plant);
    expect(broken).toContain(found?.sentence);
    expect(await replay(kinds, found?.token ?? '')).toMatchObject({ broken: [] });
  });
});
