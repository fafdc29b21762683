import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFile } from '../../updater/effects/durable.ts';
import type { Files, Handle } from '../../updater/effects/files.ts';
import { systemError, withOperations } from '../updater/support/wrapped-files.ts';
import { DiskFiles } from './disk-files.ts';
import { beforeOf, brokenInvariants } from './invariants.ts';
import { type Kind, kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { ModelAppliance, modelLayout } from './model-appliance.ts';
import { makeScenes } from './scenes.ts';

/** From `armed` on nothing needs space (I11): the disk is full from there on, and every transaction ends as it should. */
const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
const layout = modelLayout(join(directory, 'agent.sock'));
let socket: HealthSocket;
let kinds: Kind[];
beforeAll(async () => {
  socket = await HealthSocket.listen(join(directory, 'agent.sock'));
  kinds = kindsOf(await makeScenes(layout, socket), layout, socket);
});
afterAll(async () => {
  await socket.close();
  rmSync(directory, { recursive: true });
});

/** Nothing new, and nothing longer; but tmpfs, and the agent's directory, which has a quota of its own, have space. */
function full(disk: DiskFiles, code: string, isFull: () => boolean): Files {
  const paths = new Map<Handle, string>();
  const refuses = (path: string) => isFull() && !path.startsWith(layout.run) && !path.startsWith(layout.agent);
  const needsRoom = <T>(path: string, run: () => T): T => {
    if (refuses(path)) throw systemError(code);
    return run();
  };
  const bound = new Proxy<Files>(disk, {
    get: (target, key): unknown => {
      const operation: unknown = Reflect.get(target, key);
      return typeof operation === 'function' ? operation.bind(target) : operation;
    },
  });
  const open = (path: string, handle: Handle) => {
    paths.set(handle, path);
    return handle;
  };
  return withOperations(
    {
      create: (path, mode) => needsRoom(path, () => open(path, disk.create(path, mode))),
      openWrite: (path) => open(path, disk.openWrite(path)),
      link: (target, path) => needsRoom(path, () => disk.link(target, path)),
      makeDirectory: (path, mode) =>
        disk.stat(path) === null ? needsRoom(path, () => disk.makeDirectory(path, mode)) : undefined,
      write: (handle, bytes, position) => {
        const path = paths.get(handle) ?? '';
        const grows = position + bytes.length > disk.statHandle(handle).size;
        if (grows && refuses(path)) throw systemError(code);
        disk.write(handle, bytes, position);
      },
    },
    bound,
  );
}

const kindOf = (name: string): Kind => {
  const kind = kinds.find((one) => one.name === name);
  if (kind === undefined) throw new RangeError(name);
  return kind;
};
const names = [
  'install from file',
  'update from the server',
  'failed trial',
  'failed trial from the server',
  'rollback by hand',
  'returning to a version that fails',
  'back to data of before',
  'back to data of before, and it fails',
  'out of a crash loop',
];
const cases = names.flatMap((name) => ['ENOSPC', 'EDQUOT'].map((code) => ({ name, code })));

describe('a disk without space or inodes from the moment on that a trial is armed', () => {
  it.each(cases)('does not change how this ends: $name ($code)', async ({ name, code }) => {
    const kind = kindOf(name);
    let isFull = false;
    const disk = new DiskFiles(kind.disk);
    const appliance = new ModelAppliance(
      full(disk, code, () => isFull),
      2,
      kind.around,
    );
    const before = beforeOf(disk, kind);
    kind.act(appliance);
    appliance.onLine = (line) => {
      if (/^snapped -> (armed|returning)/.test(line)) isFull = true;
    };
    const state = await appliance.comeToRest();
    expect(isFull).toBe(true);
    expect(state.app.committed.version).toBe(kind.ends.committed);
    expect(brokenInvariants(disk, kind, before, appliance.agent)).toEqual([]);
  });
});

describe('a disk that fills up while an update waits for its switch', () => {
  it('does not even stop the agent, and the update goes on when there is room for the copy of its state', async () => {
    const kind = kindOf('install from file');
    const disk = new DiskFiles(kind.disk);
    let isFull = false;
    const reserve = (path: string, bytes: number) => {
      if (isFull) throw systemError('ENOSPC');
      disk.reserve(path, bytes);
    };
    const bound = full(disk, 'ENOSPC', () => false);
    const appliance = new ModelAppliance(withOperations({ reserve }, bound), 2, kind.around);
    kind.act(appliance);
    appliance.onLine = (line) => {
      if (!line.startsWith('writing -> sealed')) return;
      isFull = true;
      // The agent goes on working, and its state grows.
      const handle = disk.openWrite(layout.stateDb);
      disk.write(handle, Buffer.alloc(2_000, ' '), disk.statHandle(handle).size);
      disk.sync(handle);
      disk.close(handle);
    };
    await expect(appliance.comeToRest()).rejects.toThrow(/^not at rest .*"row":"sealed"/);
    expect(appliance.agent.stops).toBe(0);
    expect(appliance.agent.start?.version).toBe('1.0.49');
    expect(readFile(disk, `${layout.run}/trouble.json`, 2_000)?.toString()).toMatch(/no-space/);
    isFull = false;
    expect((await appliance.comeToRest()).app.committed.version).toBe('1.0.52');
  });
});
