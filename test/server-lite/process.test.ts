import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TestServer } from '../support/test-server.ts';

const root = resolve(import.meta.dirname, '..', '..');
const serverMain = join(root, 'server-lite', 'main.ts');
const cliMain = join(root, 'server-lite', 'cli', 'main.ts');

const lineShape = z.object({
  event: z.literal('listening'),
  url: z.url(),
  pid: z.int(),
  token: z.string().optional(),
  tokenStored: z.string().optional(),
});

/** Starts the server as a process of its own, and waits for its one line. */
async function serve(data: string, more: readonly string[] = []) {
  const child = execa(process.execPath, [serverMain, 'serve', '--data', data, '--json', '--pace-s', '1', ...more], {
    reject: false,
  });
  // A server that ends before it has said where it listens closes its output, and the line is not there.
  const [line] = await once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(10_000) });
  return { child, line: lineShape.parse(JSON.parse(String(line))) };
}

async function temporary(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'hf-process-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe('the server process', () => {
  it('prints its address and, at the first start only, the operator token, which is not stored', async () => {
    await using directory = await temporary();
    const data = join(directory.path, 'data');
    const tokenFile = join(directory.path, 'token');
    const first = await serve(data, ['--token-file', tokenFile]);
    const token = first.line.token ?? '';
    expect(token).toMatch(/^hfo_/);
    expect((await readFile(tokenFile, 'utf8')).trim()).toBe(token);
    expect((await stat(tokenFile)).mode & 0o777).toBe(0o600);
    expect(
      (await fetch(`${first.line.url}/api/appliances`, { headers: { authorization: `Bearer ${token}` } })).status,
    ).toBe(200);
    first.child.kill('SIGTERM');
    expect((await first.child).stderr).not.toContain(token);
    const second = await serve(data);
    expect(second.line.token).toBeUndefined();
    second.child.kill('SIGTERM');
    expect((await second.child).exitCode).toBe(0);
    for (const name of ['server.db', 'public-keys.json']) {
      expect((await readFile(join(data, name))).includes(token)).toBe(false);
    }
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
    expect(await (await fetch(`${line.url}/health`)).json()).toMatchObject({
      status: 'ok',
      version: expect.any(String),
    });
    const before = performance.now();
    child.kill('SIGTERM');
    expect((await child).exitCode).toBe(0);
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  it('opens what it had stored after it was killed', async () => {
    await using directory = await temporary();
    const first = await serve(directory.path);
    const epoch = async (url: string) =>
      z.object({ epoch: z.string() }).parse(await (await fetch(`${url}/health`)).json()).epoch;
    const before = await epoch(first.line.url);
    first.child.kill('SIGKILL');
    await first.child;
    const second = await serve(directory.path);
    expect(await epoch(second.line.url)).toBe(before);
    second.child.kill('SIGTERM');
    await second.child;
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

describe('the command line', () => {
  async function withCli() {
    const bench = await TestServer.start();
    const config = join(bench.directory, 'cli.json');
    await writeFile(join(bench.directory, 'token'), `${bench.token}\n`);
    await writeFile(config, JSON.stringify({ url: bench.url, tokenFile: 'token' }));
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
    const sent = await run('orders', 'send', 'ALPHA', 'diagnostic', '--arg', 'query=readings', '--json');
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
