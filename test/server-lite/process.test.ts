import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { serverViewShape } from '../../server-lite/operator/shapes.ts';
import { listenError } from '../../server-lite/start-error.ts';
import { builtAtMs } from '../../server-lite/version.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { serve, serverMain, temporary } from './server-process.ts';

const cliMain = join(import.meta.dirname, '..', '..', 'server-lite', 'cli', 'main.ts');

/** A module that shifts the clock of its process until SIGUSR2, as before the network time has answered. */
function wrongClock(offMs: number): string {
  const text = `const Real = Date; let offMs = ${offMs};
    globalThis.Date = class extends Real {
      constructor(...args) { args.length === 0 ? super(Real.now() + offMs) : super(...args); }
      static now() { return Real.now() + offMs; }
    };
    process.on('SIGUSR2', () => { offMs = 0; });`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

describe('the server process', () => {
  it('takes several public names, and refuses an address that is none before it makes anything', async () => {
    await using directory = await temporary();
    const names = ['--public-url', 'https://new.example/holdfast', '--public-url', 'http://old.example'];
    const { child, line } = await serve(join(directory.path, 'data'), names);
    expect((await fetch(`${line.url}/holdfast/health`)).status).toBe(200);
    child.kill('SIGTERM');
    await child;
    const wrong = join(directory.path, 'wrong');
    const words = ['serve', '--data', wrong, '--public-url', 'fleet.example.com'];
    const refused = await execa(process.execPath, [serverMain, ...words], { reject: false });
    expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('public-url-invalid: --public-url fleet.example.com is not an address');
    await expect(stat(wrong)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('prints its address and, at the first start only, the operator token, which is not stored', async () => {
    await using directory = await temporary();
    const data = join(directory.path, 'data');
    const tokenFile = join(directory.path, 'token');
    const first = await serve(data, ['--token-file', tokenFile]);
    // What has a file of its own stands in no log.
    expect([first.line.token, first.line.tokenFile]).toEqual([undefined, tokenFile]);
    const token = (await readFile(tokenFile, 'utf8')).trim();
    expect(token).toMatch(/^hfo_/);
    expect((await stat(tokenFile)).mode & 0o777).toBe(0o600);
    expect(
      (await fetch(`${first.line.url}/api/appliances`, { headers: { authorization: `Bearer ${token}` } })).status,
    ).toBe(200);
    first.child.kill('SIGTERM');
    expect((await first.child).stderr).not.toContain(token);
    const other = join(directory.path, 'other');
    await writeFile(other, 'hfo_another\n');
    // The file that it was written to is right; of any other one it is said that nothing was written.
    const told = 'the operator token was made at an earlier start';
    for (const [path, says] of [
      [tokenFile, ''],
      [join(directory.path, 'new'), `was not written: ${told}`],
      [other, `holds another token, and stays as it is: ${told}`],
    ] as const) {
      const second = await serve(data, ['--token-file', path]);
      expect(second.line.token).toBeUndefined();
      second.child.kill('SIGTERM');
      const { exitCode, stderr } = await second.child;
      expect([exitCode, stderr.includes('token-file-not-written')]).toEqual([0, says !== '']);
      expect(stderr).toContain(says);
    }
    expect(await readFile(other, 'utf8')).toBe('hfo_another\n');
    await expect(stat(join(directory.path, 'new'))).rejects.toMatchObject({ code: 'ENOENT' });
    for (const name of ['server.db', 'public-keys.json']) {
      expect((await readFile(join(data, name))).includes(token)).toBe(false);
    }
  });

  it('that cannot listen where it was told to says so, and the next start shows the token', async () => {
    await using directory = await temporary();
    await using taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    const port = z.object({ port: z.int() }).parse(taken.address()).port;
    const data = join(directory.path, 'data');
    const failed = await execa(process.execPath, [serverMain, 'serve', '--data', data, '--port', String(port)], {
      reject: false,
    });
    expect([failed.exitCode, failed.stdout]).toEqual([1, '']);
    expect(failed.stderr).toMatch(/^address-in-use: listen on 127\.0\.0\.1 port \d+: another .*\nNext: stop that/m);
    await expect(stat(data)).rejects.toMatchObject({ code: 'ENOENT' });
    const half = await execa(process.execPath, [serverMain, 'serve', '--data', data, '--port', '80.5'], {
      reject: false,
    });
    expect([half.exitCode, half.stderr]).toEqual([2, expect.stringContaining('a whole number')]);
    const { child, line } = await serve(data);
    const headers = { authorization: `Bearer ${line.token}` };
    expect((await fetch(`${line.url}/api/appliances`, { headers })).status).toBe(200);
    child.kill('SIGTERM');
    await child;
  });

  it('makes the token anew until it was shown once: here the file for it cannot be written', async () => {
    await using directory = await temporary();
    const data = join(directory.path, 'data');
    const nowhere = ['serve', '--data', data, '--token-file', join(directory.path, 'nowhere', 'token')];
    const failed = await execa(process.execPath, [serverMain, ...nowhere], { reject: false });
    expect([failed.exitCode, failed.stdout]).toEqual([1, '']);
    expect(failed.stderr).toMatch(/^token-file-not-written: .*\nNext: give --token-file/m);
    const tokenFile = join(directory.path, 'token');
    const { child, line } = await serve(data, ['--token-file', tokenFile]);
    expect((await readFile(tokenFile, 'utf8')).trim()).toMatch(/^hfo_/);
    expect(line.token).toBeUndefined();
    child.kill('SIGTERM');
    await child;
    const third = await serve(data);
    expect(third.line.token).toBeUndefined();
    third.child.kill('SIGTERM');
    await third.child;
  });

  it('publishes its public keys, and keeps the private ones to itself', async () => {
    await using directory = await temporary();
    const { child } = await serve(directory.path);
    const keys = JSON.parse(await readFile(join(directory.path, 'public-keys.json'), 'utf8'));
    const hex = expect.stringMatching(/^[0-9a-f]{64}$/);
    const three = { answer: hex, snapshot: hex, timestamp: hex };
    expect(keys).toEqual({ ...three, next: three });
    expect((await stat(join(directory.path, 'keys', 'answer.pem'))).mode & 0o777).toBe(0o600);
    child.kill('SIGTERM');
    await child;
  });

  it('stops cleanly within five seconds, with a connection open', async () => {
    await using directory = await temporary();
    const { child, line } = await serve(directory.path);
    // Nothing of its version, its epoch or its fleet: anybody may ask.
    expect(await (await fetch(`${line.url}/health`)).json()).toEqual({ status: 'ok' });
    child.kill('SIGTERM');
    // Had it taken longer, it would have ended itself with 1.
    expect((await child).exitCode).toBe(0);
  });

  it('opens what it had stored after it was killed', async () => {
    await using directory = await temporary();
    const first = await serve(directory.path);
    const headers = { authorization: `Bearer ${first.line.token}` };
    const epoch = async (url: string) =>
      serverViewShape.parse(await (await fetch(`${url}/api/server`, { headers })).json()).epoch;
    const before = await epoch(first.line.url);
    first.child.kill('SIGKILL');
    await first.child;
    const second = await serve(directory.path);
    expect(await epoch(second.line.url)).toBe(before);
    second.child.kill('SIGTERM');
    await second.child;
  });

  it.each([
    ['in 1970', -Date.now(), 'behind'],
    ['four years ahead', 4 * 365 * 86_400_000, 'ahead'],
  ])('whose machine boots %s goes by its build until the clock is set, and follows then', async (_, offMs, state) => {
    await using directory = await temporary();
    const tokenFile = join(directory.path, 'token');
    const { child, line } = await serve(directory.path, ['--token-file', tokenFile], ['--import', wrongClock(offMs)]);
    const headers = { authorization: `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}` };
    const look = async () => serverViewShape.parse(await (await fetch(`${line.url}/api/server`, { headers })).json());
    const before = await look();
    expect([before.clock.state, before.notices.length]).toEqual([state, 1]);
    expect(Math.abs(before.nowMs - builtAtMs())).toBeLessThan(60_000);
    child.kill('SIGUSR2');
    const after = await until('the clock is followed', patienceMs, async () => {
      const view = await look();
      return view.clock.state === 'in order' ? view : null;
    });
    expect(Math.abs(after.nowMs - Date.now())).toBeLessThan(60_000);
    child.kill('SIGTERM');
    expect((await child).stderr).toMatch(/the server's clock says .* the server continues with/);
  });

  it('refuses to listen beyond loopback without TLS', async () => {
    await using directory = await temporary();
    const { exitCode, stderr } = await execa(
      process.execPath,
      [serverMain, 'serve', '--data', directory.path, '--host', '0.0.0.0'],
      { reject: false },
    );
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('not-loopback-without-tls')]);
  });
});

describe('why the server cannot listen', () => {
  it.each([
    ['EACCES', 'address-not-usable', 'CAP_NET_BIND_SERVICE'],
    ['EADDRNOTAVAIL', 'address-not-usable', 'an address of this machine'],
    ['EADDRINUSE', 'address-in-use', 'another port'],
    ['ESTRANGE', 'address-not-usable', '--host or --port'],
  ])('%s', (system, code, next) => {
    const error = listenError(Object.assign(new Error(`listen ${system}`), { code: system }), '127.0.0.1', 443);
    expect(error).toMatchObject({ code, message: expect.stringContaining('127.0.0.1 port 443') });
    expect(error.next).toContain(next);
  });
});

describe('the command line', () => {
  async function withCli() {
    const bench = await TestServer.start();
    const config = join(bench.directory, 'cli.json');
    await writeFile(join(bench.directory, 'token'), `${bench.token}\n`, { mode: 0o600 });
    await writeFile(config, JSON.stringify({ url: bench.url, tokenFile: 'token' }), { mode: 0o600 });
    const run = async (...args: string[]) => {
      const { exitCode, stdout, stderr } = await execa(process.execPath, [cliMain, ...args], {
        reject: false,
        cwd: bench.directory,
        env: { HOLDFAST_CONFIG: config },
      });
      return { exitCode, stdout, stderr };
    };
    return { bench, run };
  }

  it('takes a release from publication to a rollout, and shows the fleet', async () => {
    const { bench, run } = await withCli();
    await using _ = bench;
    const { path } = await bench.build('1.0.52');
    expect((await run('release', 'publish', path)).stdout).toMatch(/^app 1\.0\.52 is published/);
    expect((await run('release', 'publish', path)).stdout).toMatch(/was published before; nothing changed/);
    const claim = await run('claim', 'create', '--name', 'alpha', '--site', 'Hall 3');
    const client = await bench.client();
    await client.enrolled(claim.stdout);
    client.have = { app: { version: '1.0.49', slot: '0' } };
    await client.checkIn('agent');
    await client.checkIn('updater');
    expect((await run('rollout', 'start', '1.0.52', '--canary', client.id.toUpperCase())).stdout).toMatch(
      /canary: alpha/,
    );
    const sent = await run(
      'orders',
      'send',
      'ALPHA',
      'diagnostic',
      '--arg',
      'query=readings',
      '--arg',
      'upTo=3',
      '--json',
    );
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(sent.stdout));
    expect((await run('orders', 'show', id.slice(0, 8))).stdout).toContain('diagnostic query=readings');
    const fleet = await run('fleet');
    expect(fleet.stdout).toContain('1.0.49');
    expect(fleet.stdout.split('\n').every((line) => line.length <= 100)).toBe(true);
    expect((await run('rollout', 'pause', '--reason', 'lunch')).stdout).toContain('Paused: lunch');
    expect((await run('rollout', 'watch')).exitCode).toBe(1);
    expect((await run('rollout', 'resume')).stdout).toContain('running');
    client.have = { app: { version: '1.0.52', slot: '1' } };
    for (let i = 0; i < 2; i += 1) await client.checkIn('updater');
    // Its agent, too: what it said before, the version before said.
    await client.checkIn('agent');
    expect(await run('rollout', 'watch')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('stage done') });
  });

  it('says by its exit status whether it was refused or used wrongly, and how to go on', async () => {
    const { bench, run } = await withCli();
    await using _ = bench;
    const refused = await run('rollout', 'start', '9.9.9');
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^release-unknown: .*\nNext: /) });
    const json = await run('rollout', 'start', '9.9.9', '--json');
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'release-unknown' });
    for (const wrong of [['nonsense'], ['orders', 'send', 'alpha'], ['rollout', 'show-me'], ['claim', 'create']]) {
      expect((await run(...wrong)).exitCode).toBe(2);
    }
    const away = await run('fleet', '--server', 'http://127.0.0.1:1', '--token-file', join(bench.directory, 'token'));
    expect(away).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('server-unreachable') });
  });

  it('has help and a version', async () => {
    const { bench, run } = await withCli();
    await using _ = bench;
    expect(await run('--version')).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(await run('rollout', '--help')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('--json') });
  });
});
