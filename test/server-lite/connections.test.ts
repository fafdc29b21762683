import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { connect as connectTls } from 'node:tls';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { descriptorsIn, usualLimits, withinDescriptors } from '../../server-lite/connections/limits.ts';
import { makeCertificate } from '../support/certificate.ts';
import { Crowd, slowBody } from '../support/crowd.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const crowd = 300;
const bigName = 'big.hfb';

/** A release whose file is larger than what the kernel keeps of an answer. */
function bigRelease(bench: TestServer): string {
  const path = join(bench.data, 'releases', 'bundles', bigName);
  writeFileSync(path, '');
  truncateSync(path, 64 * 1024 * 1024);
  return `GET /releases/bundles/${bigName} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
}

/** Descriptors of this process, which is the server's, that are open at the big release. */
function openReleases(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith(bigName);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
      throw error;
    }
  }).length;
}

async function answerOn(agent: Agent, url: string, headers: Record<string, string>): Promise<{ port: number }> {
  const sent = httpRequest(url, { agent, headers }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  await once(response, 'end');
  expect(response.statusCode).toBe(200);
  return { port: sent.socket?.localPort ?? 0 };
}

describe('connections', () => {
  it(`that send ${crowd} slow bodies from one address keep no check-in out, from that address neither`, async () => {
    await using bench = await TestServer.start([], {}, { perPeer: 32 });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const slow = new Crowd(bench.url);
    await slow.add(crowd, slowBody);
    expect(await client.checkIn('agent')).toMatchObject({ nextInS: expect.any(Number) });
    expect(await slow.shrinksTo(32)).toBeGreaterThan(0);
    await slow.add(crowd, slowBody);
    expect(await client.checkIn('updater')).toMatchObject({ nextInS: expect.any(Number) });
    expect(bench.log.filter((line) => line.includes('closed to make room'))).toHaveLength(1);
  });

  it(`that ask for a release ${crowd} times and never read hold no more descriptors than the bound`, async () => {
    await using bench = await TestServer.start([], {}, { perPeer: 16 });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const request = bigRelease(bench);
    const readers = new Crowd(bench.url);
    await readers.add(crowd, request);
    expect(await client.checkIn('agent')).toMatchObject({ nextInS: expect.any(Number) });
    await until('the files are closed', patienceMs, () => (openReleases() <= 16 ? true : null));
  });

  it('that send requests without waiting for answers are closed: one of each is in work', async () => {
    await using bench = await TestServer.start([], {}, { perPeer: 16 });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const request = bigRelease(bench);
    const many = new Crowd(bench.url);
    // As many as one packet holds.
    await many.add(8, request.repeat(500));
    expect(await client.checkIn('agent')).toMatchObject({ nextInS: expect.any(Number) });
    expect(openReleases()).toBeLessThanOrEqual(8);
    expect(await many.shrinksTo(0)).toBe(0);
  });

  it('that send cheap requests without waiting for answers are closed, too', async () => {
    await using bench = await TestServer.start();
    const many = new Crowd(bench.url);
    const sockets = await many.add(4, 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(500));
    let bytes = 0;
    for (const socket of sockets) {
      socket.on('data', (part: Buffer) => {
        bytes += part.length;
      });
    }
    expect(await many.shrinksTo(0)).toBe(0);
    // An answer has some hundred bytes: far fewer than 2,000 of them came.
    expect(bytes).toBeLessThan(100_000);
  });

  it('are bounded in all, whatever addresses they come from', async () => {
    await using bench = await TestServer.start([], {}, { all: 40, perPeer: 16 });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const slow = new Crowd(bench.url);
    for (let i = 2; i < 12; i += 1) await slow.add(30, slowBody, `127.0.0.${i}`);
    expect(await client.checkIn('agent')).toMatchObject({ nextInS: expect.any(Number) });
    await slow.shrinksTo(40);
  });

  it('of a trusted proxy count by the client that it names: one takes nothing from the others', async () => {
    await using bench = await TestServer.start(
      ['https://fleet.example'],
      { trustedProxies: ['127.0.0.9'] },
      { perPeer: 4 },
    );
    const slow = new Crowd(bench.url);
    const body = (client: string) => slowBody.replace('\r\n\r\n', `\r\nx-forwarded-for: ${client}\r\n\r\n`);
    const others = [];
    for (let i = 0; i < 8; i += 1) others.push(...(await slow.add(3, body(`192.0.2.${i}`), '127.0.0.9')));
    const greedy = await slow.add(40, body('198.51.100.1'), '127.0.0.9');
    expect(await slow.shrinksTo(4, greedy)).toBe(4);
    expect(slow.open(others)).toBe(24);
    expect((await fetch(`${bench.url}/health`)).status).toBe(200);
  });

  it('that proved themselves are closed last', async () => {
    await using bench = await TestServer.start([], {}, { perPeer: 16, keepAliveMs: patienceMs });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const look = () => answerOn(agent, `${bench.url}/api/appliances`, { authorization: `Bearer ${bench.token}` });
    const { port } = await look();
    const slow = new Crowd(bench.url);
    await slow.add(100, slowBody);
    await slow.shrinksTo(16);
    expect(await look()).toEqual({ port });
  });
});

describe('a request', () => {
  it('whose body does not arrive in time is told so and closed, and nothing waits for it any more', async () => {
    await using bench = await TestServer.start([], {}, { bodyMs: 300 });
    const slow = new Crowd(bench.url);
    const [socket] = await slow.add(1, slowBody);
    let text = '';
    socket?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await slow.shrinksTo(0);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"code":"request-too-slow"');
    expect(bench.log.filter((line) => line.includes('a request failed'))).toEqual([]);
  });

  it('that was refused does not hold its connection by a body that it goes on sending', async () => {
    await using bench = await TestServer.start([], {}, { bodyMs: 300 });
    const slow = new Crowd(bench.url);
    const [socket] = await slow.add(1, slowBody.replace('/v1/checkin', '/api/releases'));
    socket?.resume();
    await slow.shrinksTo(0);
  });

  it('whose head does not arrive in time is closed', async () => {
    await using bench = await TestServer.start([], {}, { headersMs: 300 });
    const slow = new Crowd(bench.url);
    const [socket] = await slow.add(1, 'GET /health HTTP/1.1\r\nx-slow: ');
    socket?.resume();
    await slow.shrinksTo(0);
  });

  it('whose answer is not read is closed after a silence, and its file with it', async () => {
    await using bench = await TestServer.start([], {}, { silenceMs: 500 });
    const readers = new Crowd(bench.url);
    await readers.add(5, bigRelease(bench));
    await until('the files are open', patienceMs, () => (openReleases() === 5 ? true : null));
    await until('the files are closed', patienceMs, () => (openReleases() === 0 ? true : null));
  });
});

describe('over TLS', () => {
  it('the same holds, and a handshake that does not come is not waited for', async () => {
    const made = mkdtempSync(join(tmpdir(), 'hf-tls-'));
    onTestFinished(() => rmSync(made, { recursive: true }));
    const { key, cert } = makeCertificate(made, 'server');
    const tls = { key: Buffer.from(key), cert: Buffer.from(cert) };
    const limits = { headersMs: 500, bodyMs: 300, perPeer: 8 };
    await using bench = await TestServer.start([], { tls }, limits);
    const { hostname, port } = new URL(bench.url);
    const mute = new Crowd(bench.url);
    await mute.add(20, '');
    for (const socket of mute.sockets) socket.resume();
    await mute.shrinksTo(8);
    const slow = connectTls({ host: hostname, port: Number(port), ca: cert });
    onTestFinished(() => void slow.destroy());
    let text = '';
    slow.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    slow.write(slowBody);
    await once(slow, 'end');
    expect(text).toContain('"code":"request-too-slow"');
    await mute.shrinksTo(0);
  });
});

describe('the server process', () => {
  it('with few descriptors keeps some for itself, and answers beside a crowd', async () => {
    await using bench = await TestServer.start();
    await bench.stop();
    const main = resolve(import.meta.dirname, '..', '..', 'server-lite', 'main.ts');
    const args = ['--nofile=256:256', process.execPath, main, 'serve', '--data', bench.data, '--json'];
    const child = execa('prlimit', args, { reject: false });
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { url } = z.object({ url: z.string() }).parse(JSON.parse(String(line)));
    const slow = new Crowd(url);
    for (let i = 2; i < 5; i += 1) await slow.add(crowd, slowBody, `127.0.0.${i}`);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await slow.shrinksTo(64);
    child.kill('SIGTERM');
    const { exitCode, stderr } = await child;
    expect([exitCode, stderr.includes('EMFILE')]).toEqual([0, false]);
  });
});

describe('the limits', () => {
  it('fit into the descriptors that there are', () => {
    const text = 'Limit Soft Hard\nMax open files            1024                 524288               files\n';
    expect(descriptorsIn(text)).toBe(1_024);
    expect(descriptorsIn('Max open files  unlimited unlimited files')).toBeNull();
    expect(withinDescriptors(usualLimits, 1_024)).toMatchObject({ all: 448, perPeer: 256 });
    expect(withinDescriptors(usualLimits, 256)).toMatchObject({ all: 64, perPeer: 64 });
    expect(withinDescriptors(usualLimits, null)).toEqual(usualLimits);
  });
});
