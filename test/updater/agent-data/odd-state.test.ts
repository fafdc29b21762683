import {
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Layout, snapshotFiles } from '../../../protocol/layout.ts';
import { restoreSnapshot } from '../../../updater/agent-data/restore.ts';
import { snapshotDirectory, stateBytes, takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { destructiveTrial, killedAgentState, rowsIn } from '../support/state-database.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const tx = 7;
const bytesMax = 1024 * 1024;
/** Users exist only where the updater is root, as on an appliance. */
const isRoot = process.getuid?.() === 0;
const agentUser = isRoot ? { uid: 4_711, gid: 4_711 } : null;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  killedAgentState(layout, 3, agentUser?.uid);
  writeFileSync(layout.identityKey, 'the key of the updater', { mode: 0o600 });
});

const inAgent = (name: string) => join(layout.agent, name);
const take = (files = realFiles) => takeSnapshot(files, layout, tx, bytesMax, agentUser);
const restore = () => restoreSnapshot(realFiles, layout, tx, agentUser);
const owned = (path: string) => {
  if (agentUser !== null) chownSync(path, agentUser.uid, agentUser.gid);
};

const oddities: Record<string, (path: string) => unknown> = {
  'a FIFO that nobody writes to': (path) => execa('mkfifo', [path]),
  "a link to the updater's key": (path) => symlinkSync(layout.identityKey, path),
  'a link that leads nowhere': (path) => symlinkSync('/nowhere', path),
  'a directory': (path) => mkdirSync(path),
  'a file with a second name': (path) => {
    writeFileSync(path, 'x');
    owned(path);
    linkSync(path, `${path}.twin`);
  },
  'a file that is larger than it may be': (path) => {
    writeFileSync(path, '');
    owned(path);
    truncateSync(path, bytesMax + 1);
  },
};
if (isRoot) {
  oddities['a device that never ends'] = (path) => execa('mknod', [path, 'c', '1', '5']);
  oddities['a file of somebody else'] = (path) => {
    writeFileSync(path, 'x');
    chownSync(path, 4_712, 4_712);
  };
}
const places = Object.keys(oddities).flatMap((what) => snapshotFiles.map((name) => ({ what, name })));

describe('odd state', () => {
  it.each(places)('$what as $name is recorded, copied nowhere, and stops nothing', async ({ what, name }) => {
    rmSync(inAgent(name));
    await oddities[what]?.(inAgent(name));
    const { entries } = take();
    expect(entries.find((entry) => entry.name === name)).toEqual({ name, found: 'odd', why: expect.any(String) });
    expect(realFiles.stat(join(snapshotDirectory(layout, tx), name))).toBeNull();
    expect(() => restore()).not.toThrow();
    expect(readFileSync(layout.identityKey, 'utf8')).toBe('the key of the updater');
  });

  it('of ten terabytes, none of which is on the disk, asks for no room', () => {
    const before = stateBytes(realFiles, layout, bytesMax, null);
    truncateSync(inAgent('state.db'), 10 * 1024 ** 4);
    expect(before).toBeGreaterThan(0);
    expect(stateBytes(realFiles, layout, bytesMax, null)).toBeLessThan(before);
    expect(take().entries.find(({ name }) => name === 'state.db')).toMatchObject({ found: 'odd' });
  });

  it('stays where it is, for a person to look at', () => {
    rmSync(inAgent('agent.json'));
    mkdirSync(inAgent('agent.json'));
    take();
    restore();
    expect(statSync(inAgent('agent.json')).isDirectory()).toBe(true);
  });

  it('that is a log is never left beside a database that was restored: it would be replayed', () => {
    linkSync(inAgent('state.db-wal'), inAgent('twin'));
    take();
    rmSync(inAgent('state.db-wal'));
    destructiveTrial(layout);
    restore();
    expect(realFiles.stat(inAgent('state.db-wal'))).toBeNull();
    expect(rowsIn(inAgent('state.db'))).toBe(0);
  });

  it('that is a database leaves its log alone: neither fits to another version of the other', () => {
    linkSync(inAgent('state.db'), inAgent('twin'));
    expect(
      take()
        .entries.slice(0, 2)
        .map(({ found }) => found),
    ).toEqual(['odd', 'odd']);
    restore();
    expect(rowsIn(inAgent('state.db'))).toBe(3);
  });

  it('is also what the disk cannot read', () => {
    const bad = withOperations({
      openRead: (path) => {
        if (path.endsWith('/agent.json')) throw systemError('EIO');
        return realFiles.openRead(path);
      },
    });
    expect(take(bad).entries[2]).toEqual({ name: 'agent.json', found: 'odd', why: expect.stringContaining('EIO') });
  });

  it('is also what the disk reads only in part', () => {
    const rotten = realFiles.openRead(inAgent('agent.json'));
    const bad = withOperations({
      openRead: (path) => (path.endsWith('/agent.json') ? rotten : realFiles.openRead(path)),
      read: (handle, position, length) => {
        if (handle === rotten) throw systemError('EIO');
        return realFiles.read(handle, position, length);
      },
    });
    expect(take(bad).entries[2]).toEqual({ name: 'agent.json', found: 'odd', why: expect.stringContaining('EIO') });
  });

  it('is not what our own disk refuses: a full one fails the snapshot', () => {
    const full = withOperations({
      write: () => {
        throw systemError('ENOSPC');
      },
    });
    expect(() => take(full)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  });

  it('is bounded over all files together', () => {
    for (const name of ['state.db', 'agent.json']) {
      writeFileSync(inAgent(name), Buffer.alloc(bytesMax * 0.6));
      owned(inAgent(name));
    }
    rmSync(inAgent('state.db-wal'));
    expect(take().entries.map(({ found }) => found)).toEqual(['copied', 'missing', 'odd']);
  });

  it('comes back to its owner', () => {
    take();
    restore();
    expect(snapshotFiles.map((name) => statSync(inAgent(name)).uid)).toEqual(
      Array(3).fill(agentUser?.uid ?? process.getuid?.()),
    );
  });
});
