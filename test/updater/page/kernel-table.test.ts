import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { tableBytesMax } from '../../../updater/page/kernel-table.ts';
import { peersOf } from '../../../updater/page/peers.ts';
import { postAs } from './other-user.ts';
import { PageBox } from './page-box.ts';
import { longTable, ownAddress, PlantedTables } from './planted-tables.ts';

const tcp = '/proc/net/tcp';
const [agentUid, strangerUid, technicianUid] = [64_711, 64_712, 64_713];
/** Where nobody is the agent. */
const layout = layoutOf('/nonexistent');
const endless = longTable(1e9);
const anyoneHere = 'uid:4294967295';
const tooLong = new PlantedTables({ [tcp]: endless, '/proc/net/tcp6': endless });

/** What the kernel tells now, behind so many lines of others. */
const behind = (lines: number) => new PlantedTables({ [tcp]: longTable(lines, () => readFileSync(tcp)) });

/** The page's end of a connection. */
async function accepted(localAddress = '127.0.0.1'): Promise<Socket> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new TypeError('it listens nowhere');
  const arrival = once(server, 'connection');
  const client = connect({ port: address.port, host: '127.0.0.1', localAddress });
  const [socket] = (await arrival) as [Socket];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return socket;
}

async function started(planted: PlantedTables): Promise<{ box: PageBox; url: (path: string) => string }> {
  const box = new PageBox();
  box.files = planted.files;
  mkdirSync(box.layout.agentRun);
  chownSync(box.layout.agentRun, agentUid, agentUid);
  await box.start();
  return { box, url: (path) => `http://127.0.0.1:${box.port}${path}` };
}

describe('a table of connections that is long', () => {
  it.each(['127.0.0.1', '127.0.0.8', ownAddress('IPv4') ?? '127.0.0.2'])(
    'is searched to its end, whatever others put into it: from %s',
    async (from) => {
      const socket = await accepted(from);
      const planted = behind(60_000);
      const peers = peersOf(planted.files, layout, [socket]);
      expect(peers).toEqual([{ kind: 'known', name: `uid:${process.getuid?.()}` }]);
      expect(planted.bytesRead).toBeGreaterThan(8 * 1024 * 1024);
    },
  );

  it('keeps neither the technician out, nor lets the agent in', async () => {
    const { box, url } = await started(behind(60_000));
    expect((await postAs(technicianUid, url('/check'), { pin: box.pin }))[0]).toBe(303);
    expect([403, 0]).toContain((await postAs(agentUid, url('/check'), { pin: box.pin }))[0]);
    expect(box.requests()).toHaveLength(1);
  });

  it('is read no further than to what is looked for', async () => {
    const socket = await accepted();
    const planted = new PlantedTables({
      [tcp]: (position, length) => {
        const now = readFileSync(tcp);
        return position < now.length ? now.subarray(position, position + length) : endless(0, length);
      },
    });
    expect(peersOf(planted.files, layout, [socket])).toMatchObject([{ kind: 'known' }]);
    expect(planted.bytesRead).toBeLessThan(1024 * 1024);
  });
});

describe('a table of connections that was not read to its end', () => {
  it('is read once, and so far, however many ask', async () => {
    const planted = new PlantedTables({ [tcp]: endless, '/proc/net/tcp6': endless });
    const sockets = [await accepted(), await accepted('127.0.0.8'), await accepted(ownAddress('IPv4'))];
    const anyone = { kind: 'known', name: anyoneHere };
    expect(peersOf(planted.files, layout, sockets)).toEqual([anyone, anyone, anyone]);
    expect(planted.bytesRead).toBeLessThanOrEqual(2 * (tableBytesMax + 64 * 1024));
  });

  it('makes nobody of whoever asks where it breaks off, either', async () => {
    const planted = new PlantedTables({
      [tcp]: () => {
        throw Object.assign(new Error('no memory'), { code: 'ENOMEM' });
      },
    });
    const peers = peersOf(planted.files, layout, [await accepted()]);
    expect(peers).toEqual([{ kind: 'known', name: anyoneHere }]);
  });

  it('is like one that the kernel does not have', async () => {
    const files = {
      ...realFiles,
      stat: (path: string) => (path.startsWith('/proc/net/') ? null : realFiles.stat(path)),
    };
    const sockets = [await accepted(), await accepted('127.0.0.8')];
    const anyone = { kind: 'known', name: anyoneHere };
    expect(peersOf(files, layout, sockets)).toEqual([anyone, anyone]);
  });

  it('gives all who come from this machine one count, and keeps none of them out', async () => {
    const { box, url } = await started(tooLong);
    for (let i = 0; i < 5; i += 1) expect((await postAs(strangerUid, url('/check'), { pin: '00000000' }))[0]).toBe(403);
    expect((await postAs(agentUid, url('/check'), { pin: box.pin }))[0]).toBe(429);
    expect(box.failures()).toMatchObject({ peers: [[anyoneHere, 5, expect.any(Number)]] });
    box.clock.monoMs += 2_000;
    expect((await postAs(technicianUid, url('/check'), { pin: box.pin }))[0]).toBe(303);
  });

  it('does not change who comes from elsewhere', () => {
    const far = { remoteAddress: '203.0.113.9', remotePort: 4_000, localAddress: '198.51.100.1', localPort: 443 };
    expect(peersOf(tooLong.files, layout, [far])).toEqual([{ kind: 'known', name: 'ip:203.0.113.9' }]);
  });
});

describe('an end that the kernel does not show', () => {
  const trie = (...addresses: string[]) =>
    Buffer.from(
      `Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 203.0.113.9\n        /32 link UNICAST\nLocal:\n${addresses
        .map((one) => `           |-- ${one}\n              /32 host LOCAL\n`)
        .join('')}`,
    );
  const planted = new PlantedTables({
    '/proc/net/fib_trie': (at, length) => trie('192.0.2.77', '192.0.2.78').subarray(at, at + length),
    '/proc/net/if_inet6': (at, length) =>
      Buffer.from('20010db8000000010002000300040005 02 40 00 80     eth0\n').subarray(at, at + length),
  });
  const from = (remoteAddress: string, localAddress: string) => {
    const socket = { remoteAddress, remotePort: 4_000, localAddress, localPort: 443 };
    const [peer] = peersOf(planted.files, layout, [socket]);
    return peer?.kind === 'known' ? peer.name : peer?.kind;
  };

  it('came from this machine where either address says so', () => {
    const ends = [
      ['192.0.2.77', '127.0.0.1'],
      ['203.0.113.9', '::ffff:127.0.0.1'],
      ['2001:db8::9', '::1'],
      ['192.0.2.77', '192.0.2.78'],
      ['::ffff:192.0.2.77', '::ffff:192.0.2.78'],
      ['2001:db8:0:1:2:3:4:5', '2001:db8::1'],
      ['127.0.0.1', '192.0.2.77'],
    ] as const;
    for (const [theirs, ours] of ends) expect([theirs, from(theirs, ours)]).toEqual([theirs, 'gone']);
  });

  it('came from elsewhere else', () => {
    expect(from('203.0.113.9', '192.0.2.77')).toBe('ip:203.0.113.9');
    expect(from('::ffff:203.0.113.9', '::ffff:192.0.2.77')).toBe('ip:203.0.113.9');
    expect(from('2001:db8:0:1:2:3:4:6', '2001:db8::1')).toBe('ip:2001:db8:0:1');
  });

  it('is one of the others of this machine where its addresses cannot be read', () => {
    const blind = new PlantedTables({ '/proc/net/fib_trie': endless });
    const socket = { remoteAddress: '203.0.113.9', remotePort: 4_000, localAddress: '192.0.2.77', localPort: 443 };
    expect(peersOf(blind.files, layout, [socket])).toEqual([{ kind: 'known', name: anyoneHere }]);
  });
});

describe('the addresses of this machine', () => {
  it.each(['IPv4', 'IPv6'] as const)('are read as the kernel has them: %s', (family) => {
    const own = ownAddress(family) ?? '127.0.0.1';
    const socket = { remoteAddress: own, remotePort: 4_000, localAddress: '198.51.100.1', localPort: 443 };
    expect(peersOf(realFiles, layout, [socket])).toEqual([{ kind: 'gone' }]);
  });
});
