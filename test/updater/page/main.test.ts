import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { connect } from 'node:tls';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { realClock } from '../../../updater/effects/clock.ts';
import { waitAfterMs } from '../../../updater/page/attempts.ts';
import { encodeFailures, failuresOf, type PeerName } from '../../../updater/page/failures.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { patienceMs, until } from '../../support/world/wait.ts';
import { testCertificate, testKey } from './certificate.ts';
import { postAs } from './other-user.ts';
import { PageBox } from './page-box.ts';

const program = resolve(import.meta.dirname, '../../../updater/page/main.ts');

/** The first line that a process prints. */
async function firstLine(output: Readable | null): Promise<string> {
  let text = '';
  for await (const part of output?.iterator({ destroyOnReturn: false }) ?? []) {
    text += String(part);
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  throw new Error(`the process printed no line: ${text}`);
}

/** Starts the page as a process. @returns the address that it prints */
async function startProgram(root: string, ...args: readonly string[]) {
  const child = execa(process.execPath, [program, '--root', root, '--port', '0', '--json', ...args], { reject: false });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const { url } = z.object({ url: z.string() }).parse(JSON.parse(await firstLine(child.stdout)));
  return { child, url };
}

describe('the page as a process', () => {
  it('is there while the agent is dead and nothing else runs, and stops when it is told to', async () => {
    const box = new PageBox();
    const { child, url } = await startProgram(box.root);
    expect(await (await fetch(url)).text()).toContain('How this appliance is doing is not known.');
    const body = new URLSearchParams({ pin: box.pin });
    expect((await fetch(new URL('/check', url), { method: 'POST', body, redirect: 'manual' })).status).toBe(303);
    expect(box.requests()).toMatchObject([{ kind: 'check' }]);
    child.kill('SIGTERM');
    expect((await child).exitCode).toBe(0);
  });

  it('counts wrong PINs over SIGKILL', async () => {
    const box = new PageBox();
    // So many before, and all their waits over, that the next wait is the longest one: no machine sleeps through that.
    const who: PeerName = `uid:${process.getuid?.() ?? 0}`;
    const tally = { count: 20, monoMs: realClock.monoMs() - waitAfterMs(20) };
    const failures = { ...failuresOf(0, 0, realClock.bootId()), peers: new Map([[who, tally]]) };
    writeFileSync(box.layout.pinFailures, encodeFailures(failures));
    const first = await startProgram(box.root);
    const wrong = new URLSearchParams({ pin: '00000000' });
    expect((await fetch(new URL('/check', first.url), { method: 'POST', body: wrong })).status).toBe(403);
    first.child.kill('SIGKILL');
    await first.child;
    const second = await startProgram(box.root);
    const right = new URLSearchParams({ pin: box.pin });
    expect((await fetch(new URL('/check', second.url), { method: 'POST', body: right })).status).toBe(429);
    expect(box.failures()).toMatchObject({ peers: [[who, 21, expect.any(Number)]] });
  });

  it('never has a PIN in what it logs', async () => {
    const box = new PageBox();
    const { child, url } = await startProgram(box.root);
    const body = new URLSearchParams({ pin: box.pin });
    await fetch(new URL('/rollback', url), { method: 'POST', body, redirect: 'manual' });
    child.kill('SIGTERM');
    const { stdout, stderr } = await child;
    expect(stderr).toContain('rollback: left request');
    expect(`${stdout}${stderr}`).not.toContain(box.pin);
  });

  it('answers on a socket that somebody else opened, and there refuses the agent’s user too', async () => {
    const box = new PageBox();
    const agentUid = 64_711;
    mkdirSync(box.layout.agentRun);
    chownSync(box.layout.agentRun, agentUid, agentUid);
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = z.object({ port: z.int() }).parse(server.address());
    const { _handle: handle } = z.object({ _handle: z.object({ fd: z.int() }) }).parse(server);
    // As systemd does it: the process id is known only after the fork.
    const start = 'LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"';
    const child = spawn('/bin/sh', ['-c', start, 'sh', process.execPath, program, '--root', box.root, '--json'], {
      stdio: ['ignore', 'pipe', 'ignore', handle.fd],
    });
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    expect(await firstLine(child.stdout)).toContain(`:${address.port}/`);
    server.close(); // ours only; the page has its own descriptor of the same socket
    expect((await fetch(`http://127.0.0.1:${address.port}/status.json`)).status).toBe(200);
    const [status] = await postAs(agentUid, `http://127.0.0.1:${address.port}/check`, { pin: box.pin });
    expect([403, 0]).toContain(status);
    expect(box.requests()).toEqual([]);
  });

  it('has help and a version', async () => {
    expect((await execa(process.execPath, [program, '--help'])).stdout).toContain('--root DIR');
    expect((await execa(process.execPath, [program, '--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [['--host', '0.0.0.0'], 'not-loopback'],
    [['--port', 'x'], 'usage'],
  ])('refuses %j as %s', async (args, code) => {
    const box = new PageBox();
    const result = await execa(process.execPath, [program, '--root', box.root, ...args], { reject: false });
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain(`(${code})`);
  });

  it('refuses a password that is too short, and does not show it', async () => {
    const box = new PageBox();
    const paths = { key: join(box.root, 'key'), cert: join(box.root, 'cert'), password: join(box.root, 'password') };
    writeFileSync(paths.key, testKey);
    writeFileSync(paths.cert, testCertificate);
    writeFileSync(paths.password, 'short one\n');
    const args = ['--root', box.root, '--host', '0.0.0.0', '--tls-key', paths.key, '--tls-cert', paths.cert];
    const result = await execa(process.execPath, [program, ...args, '--password-file', paths.password], {
      reject: false,
    });
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('(password-too-short)');
    expect(result.stderr).not.toContain(readFileSync(paths.password, 'utf8').trim());
  });

  it('serves a renewed certificate after SIGHUP, and without one stops cleanly', async () => {
    const box = new PageBox();
    const path = (name: string) => join(box.root, name);
    const put = ({ cert, key }: { cert: string; key: string }) => {
      writeFileSync(path('cert'), cert);
      writeFileSync(path('key'), key);
    };
    put({ cert: testCertificate, key: testKey });
    writeFileSync(path('password'), 'a password of many letters\n');
    const files = ['--tls-key', path('key'), '--tls-cert', path('cert'), '--password-file', path('password')];
    const { child, url } = await startProgram(box.root, '--host', '0.0.0.0', ...files);
    const shown = async () => {
      const socket = connect({ port: Number(new URL(url).port), rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const subject = socket.getPeerX509Certificate()?.subject;
      socket.destroy();
      return subject;
    };
    expect(await shown()).toBe('CN=page.test');
    const renewed = makeCertificate(box.root, 'renewed');
    put(renewed);
    child.kill('SIGHUP');
    await until('the renewed one', patienceMs, async () => ((await shown()) === 'CN=renewed' ? true : null));
    const plain = await startProgram(box.root);
    plain.child.kill('SIGHUP');
    expect((await plain.child).exitCode).toBe(0);
  });

  it('says so when its port is taken', async () => {
    const box = new PageBox();
    const { url } = await startProgram(box.root);
    const args = [program, '--root', box.root, '--port', new URL(url).port];
    const result = await execa(process.execPath, args, { reject: false });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('(EADDRINUSE)');
  });
});
