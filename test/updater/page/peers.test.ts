import { chownSync, mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectionsMax, perPeerMax } from '../../../updater/page/connections.ts';
import type { Peer } from '../../../updater/page/peers.ts';
import { type End, hexOf, isLoopbackHex, UserSearch } from '../../../updater/page/tcp-table.ts';
import { patienceMs, until } from '../../support/world/wait.ts';
import { OtherCrowd, postAs, sendAndLeaveAs } from './other-user.ts';
import { PageBox } from './page-box.ts';
import { ownAddress } from './planted-tables.ts';

/** Users that this machine has no names for. */
const [agentUid, strangerUid, technicianUid] = [64_711, 64_712, 64_713];
const slowHead = 'GET / HTTP/1.1\r\nx-slow: ';
const wrong = { pin: '00000000' };

async function started(host = '127.0.0.1', more = {}) {
  const box = new PageBox();
  mkdirSync(box.layout.agentRun);
  chownSync(box.layout.agentRun, agentUid, agentUid);
  await box.start({ listen: { host, port: 0 }, ...more });
  const name = host.includes(':') ? `[${host}]` : host;
  return { box, url: new URL(`http://${name}:${box.port}/`) };
}

const at = (url: URL, path: string) => new URL(path, url).href;

describe('a user of this machine', () => {
  it.each(['127.0.0.1', '::1'])('who sends wrong PINs to %s makes nobody else wait', async (host) => {
    const { box, url } = await started(host);
    for (let i = 0; i < 5; i += 1) expect((await postAs(strangerUid, at(url, '/check'), wrong))[0]).toBe(403);
    expect((await postAs(strangerUid, at(url, '/check'), { pin: box.pin }))[0]).toBe(429);
    expect((await postAs(technicianUid, at(url, '/check'), { pin: box.pin }))[0]).toBe(303);
    expect((await fetch(at(url, '/rollback'), { method: 'POST', body: new URLSearchParams(wrong) })).status).toBe(403);
    expect(box.failures()).toMatchObject({
      peers: [
        [`uid:${strangerUid}`, 5, expect.any(Number)],
        [`uid:${process.getuid?.()}`, 1, expect.any(Number)],
      ],
    });
    expect(box.requests()).toMatchObject([{ kind: 'check' }]);
  });

  it('who is the agent is refused, whatever it sends, and holds no connection', async () => {
    const { box, url } = await started();
    const [status, text] = await postAs(agentUid, at(url, '/check'), { pin: box.pin });
    // It sent while it was refused: it may hear of it, or of the reset.
    expect([403, 0]).toContain(status);
    expect(status === 0 || text.includes("not for the agent's user")).toBe(true);
    const crowd = await OtherCrowd.of(agentUid, 200, url, slowHead);
    await until('each of them is closed', patienceMs, () => (crowd.ended === 200 ? true : null));
    expect((await fetch(url)).status).toBe(200);
    expect([box.requests(), box.failures()]).toEqual([[], null]);
    expect(box.logged.filter((line) => line.includes('refused a connection'))).toHaveLength(1);
    await crowd.leave();
  });

  it('who sends requests without waiting for answers has one of them in work, and loses the connection', async () => {
    let begun = 0;
    const { url } = await started('127.0.0.1', {
      onRequest: () => {
        begun += 1;
      },
    });
    const sockets = Array.from({ length: perPeerMax }, () => {
      const socket = connect(Number(url.port), '127.0.0.1').on('error', () => undefined);
      socket.resume();
      onTestFinished(() => void socket.destroy());
      socket.write(`GET / HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`.repeat(500));
      return socket;
    });
    await until('they are closed', patienceMs, () => sockets.every(({ destroyed }) => destroyed) || null);
    expect(begun).toBeLessThanOrEqual(perPeerMax);
    expect((await fetch(url)).status).toBe(200);
  });

  it('who leaves a connection after it has sent all is nobody, and nothing is done for it', async () => {
    const { box, url } = await started('127.0.0.1', {
      peersOf: (sockets: readonly Socket[]) => sockets.map((): Peer => ({ kind: 'gone' })),
    });
    const form = new URLSearchParams({ pin: box.pin }).toString();
    const head = `host: ${url.host}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}`;
    const socket = connect(Number(url.port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let seen = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      seen += part;
    });
    socket.on('error', () => undefined).write(`POST /check HTTP/1.1\r\n${head}\r\n\r\n${form}`);
    await until('it is closed', patienceMs, () => (socket.destroyed || socket.readableEnded ? true : null));
    expect(seen === '' || seen.startsWith('HTTP/1.1 403 ')).toBe(true);
    expect(box.requests()).toEqual([]);
  });
});

describe("the agent's user, who has left when the page looks,", () => {
  const own = ownAddress('IPv4') ?? '127.0.0.2';

  it.each(['127.0.0.1', '127.0.0.9', own])('is nobody when it came to loopback from %s', async (from) => {
    const { box, url } = await started();
    const form = new URLSearchParams({ pin: box.pin }).toString();
    const head = `host: ${url.host}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}`;
    // The page is in this process, which stands until the other one has ended.
    sendAndLeaveAs(agentUid, from, url, `POST /check HTTP/1.1\r\n${head}\r\n\r\n${form}`);
    await until('it is refused', patienceMs, () => box.logged.find((line) => line.includes('refused a connection')));
    expect((await fetch(url)).status).toBe(200);
    expect([box.requests(), box.failures()]).toEqual([[], null]);
  });
});

describe('the connections of the page', () => {
  it('are never all of one user: others find room, and so does it', async () => {
    const { url } = await started();
    const crowd = await OtherCrowd.of(strangerUid, 200, url, slowHead);
    await until('all but a few are closed', patienceMs, () => (crowd.ended >= 200 - perPeerMax ? true : null));
    expect((await fetch(url)).status).toBe(200);
    expect((await postAs(strangerUid, at(url, '/check'), wrong))[0]).toBe(403);
    await crowd.leave();
  });

  it('are never all of a few users: who has the most makes room', async () => {
    const { box, url } = await started();
    const crowds: OtherCrowd[] = [];
    for (let i = 0; i < connectionsMax / perPeerMax; i += 1)
      crowds.push(await OtherCrowd.of(strangerUid + 10 + i, perPeerMax, url, slowHead));
    expect((await postAs(technicianUid, at(url, '/check'), { pin: box.pin }))[0]).toBe(303);
    await until('one made room', patienceMs, () => (crowds.some(({ ended }) => ended > 0) ? true : null));
    for (const crowd of crowds) await crowd.leave();
  });

  it('are closed when a form or a file does not arrive, but for a file whose PIN was right', async () => {
    const { box, url } = await started('127.0.0.1', { bodyMs: 300 });
    const open = (type: string, body: string) => {
      const head = `host: ${url.host}\r\ncontent-type: ${type}\r\ncontent-length: 100000`;
      const socket = connect(Number(url.port), '127.0.0.1').on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      socket.write(`POST /${type.startsWith('multipart') ? 'install' : 'check'} HTTP/1.1\r\n${head}\r\n\r\n${body}`);
      return socket.resume();
    };
    const part = (pin: string) =>
      `--b\r\ncontent-disposition: form-data; name="pin"\r\n\r\n${pin}\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nbytes`;
    const right = open('multipart/form-data; boundary=b', part(box.pin));
    await until('it is being sent', patienceMs, () => (box.uploads().length === 1 ? true : null));
    const slow = [
      open('application/x-www-form-urlencoded', 'pin='),
      open('multipart/form-data; boundary=b', part('00000000')),
      open('multipart/form-data; boundary=b', '--b\r\n'),
    ];
    await until('they are closed', patienceMs, () => slow.every((one) => one.destroyed || one.readableEnded) || null);
    expect([right.destroyed, right.readableEnded]).toEqual([false, false]);
  });
});

describe("the kernel's table of connections", () => {
  const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  const line = (local: string, remote: string, uid: number, inode: number) =>
    `   1: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0000000000000000 20 4 30 10 -1\n`;
  const ours = { address: hexOf('127.0.0.1'), port: 7_070 };
  const theirs = { address: hexOf('127.0.0.1'), port: 40_000 };
  const [here, there] = ['0100007F:1B9E', '0100007F:9C40'];

  function uidIn(text: string, ours: End, theirs: End, isLittle: boolean): number | null {
    const search = new UserSearch([{ ours, theirs }], isLittle);
    for (const one of text.split('\n')) search.line(one);
    return search.uidOf({ ours, theirs });
  }

  it('names the user of the other end, and not of ours', () => {
    const text = head + line(here, there, 999, 5) + line(there, here, 1_000, 6);
    expect(uidIn(text, ours, theirs, true)).toBe(1_000);
  });

  it('names nobody for a connection that no process has any more', () => {
    expect(uidIn(head + line(there, here, 0, 0), ours, theirs, true)).toBeNull();
    expect(uidIn(head, ours, theirs, true)).toBeNull();
  });

  it('knows IPv4 in a socket for both, and IPv6', () => {
    const mapped = ['0000000000000000FFFF00000100007F:9C40', '0000000000000000FFFF00000100007F:1B9E'] as const;
    expect(uidIn(line(...mapped, 7, 1), ours, theirs, true)).toBe(7);
    const six = (port: number) => ({ address: hexOf('::1'), port });
    const text = line('00000000000000000000000001000000:9C40', '00000000000000000000000001000000:1B9E', 8, 1);
    expect(uidIn(text, six(7_070), six(40_000), true)).toBe(8);
    const big = line('00000000000000000000000000000001:9C40', '00000000000000000000000000000001:1B9E', 9, 1);
    expect(uidIn(big, six(7_070), six(40_000), false)).toBe(9);
  });

  it('has addresses in one form', () => {
    expect(hexOf('::ffff:127.0.0.1')).toBe(hexOf('127.0.0.1'));
    expect(hexOf('fe80::1%eth0')).toBe('fe800000000000000000000000000001');
    expect(hexOf('2001:db8:0:1:2:3:4:5')).toBe('20010db8000000010002000300040005');
    expect(
      ['127.9.9.9', '::1', '::ffff:127.0.0.1', '192.0.2.1', '::2'].map((one) => isLoopbackHex(hexOf(one))),
    ).toEqual([true, true, true, false, false]);
  });
});
