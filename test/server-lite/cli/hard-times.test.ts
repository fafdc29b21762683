import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { openClaimListShape } from '../../../server-lite/operator/shapes.ts';
import { TestServer } from '../../support/test-server.ts';

const cliMain = resolve('server-lite/cli/main.ts');
const serverMain = resolve('server-lite/main.ts');

async function bench() {
  const server = await TestServer.start();
  const config = join(server.directory, 'cli.json');
  await writeFile(config, JSON.stringify({ url: server.url, token: server.token }), { mode: 0o600 });
  const run = (...words: string[]) =>
    execa(process.execPath, [cliMain, ...words], { reject: false, env: { HOLDFAST_CONFIG: config } });
  const openClaims = async () => openClaimListShape.parse((await server.api('GET', '/api/claims')).body).claims;
  return { server, config, run, openClaims };
}

/** A file system without room, for as long as `work` lasts; `makeRoom` gives it some. */
async function onFullDisk(
  directory: string,
  work: (place: string, makeRoom: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const place = join(directory, 'full');
  await mkdir(place);
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'full', place]);
  try {
    expect(() => writeFileSync(join(place, 'ballast'), Buffer.alloc(64 * 1024, 1))).toThrow('ENOSPC');
    await work(place, () => execa('mount', ['-o', 'remount,size=1m', place]));
  } finally {
    await execa('umount', ['--lazy', place]);
  }
}

describe('on a full disk', () => {
  it('no claim code is made that could not be written, and the one before still counts', async () => {
    const { server, run, openClaims } = await bench();
    await using _ = server;
    await server.publish('1.0.52');
    const before = await server.claim('alpha');
    await onFullDisk(server.directory, async (place, makeRoom) => {
      const out = join(place, 'claim');
      const create = () => run('claim', 'create', '--name', 'alpha', '--site', 'Hall 3', '--out', out);
      const refused = await create();
      expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toMatch(/^file-not-written: .*its disk is full\nNext: make room there/);
      expect(existsSync(out)).toBe(false);
      expect(await openClaims()).toHaveLength(1);
      await makeRoom();
      expect((await create()).exitCode).toBe(0);
      expect(readFileSync(out, 'utf8').trim()).not.toBe(before);
    });
  });

  it('no operator token is replaced by one that could not be written', async () => {
    const { server, run } = await bench();
    await using _ = server;
    await onFullDisk(server.directory, async (place, makeRoom) => {
      const token = () =>
        execa(process.execPath, [serverMain, 'token', '--data', server.data, '--token-file', join(place, 'token')], {
          reject: false,
        });
      const refused = await token();
      expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toMatch(/disk.* full/);
      expect((await run('server')).exitCode).toBe(0);
      await makeRoom();
      expect((await token()).exitCode).toBe(0);
      expect((await run('server')).stderr).toMatch(/^token-wrong/);
    });
  });

  it('an output that cannot be written is a failure, with one line', async () => {
    const { server, config } = await bench();
    await using _ = server;
    const full = openSync('/dev/full', 'w');
    const cli = spawn(process.execPath, [cliMain, 'server'], {
      stdio: ['ignore', full, 'pipe'],
      env: { ...process.env, HOLDFAST_CONFIG: config },
    });
    closeSync(full);
    let stderr = '';
    cli.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const [exitCode] = await once(cli, 'close');
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/^output-not-written: the output could not be written \(ENOSPC\)\nNext: .+\n$/),
    ]);
  });
});

describe('an answer that is cut off', () => {
  it('is said as such, with a next step, and is no answer', async () => {
    const cutting = createServer((socket) => {
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"notices"',
          () => socket.destroy(),
        );
      });
      socket.on('error', () => socket.destroy());
    });
    await new Promise<void>((listening) => cutting.listen(0, '127.0.0.1', () => listening()));
    const { server, config, run } = await bench();
    await using _ = server;
    const address = cutting.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await writeFile(config, JSON.stringify({ url: `http://127.0.0.1:${port}`, token: server.token }), { mode: 0o600 });
    const { exitCode, stdout, stderr } = await run('server');
    cutting.close();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^server-unreachable: \/api\/server: the connection ended in the middle of the answer\nNext: run the command again$/,
    );
  });
});

describe('the file that HOLDFAST_CONFIG names', () => {
  it('is where connect writes, and what the next command reads', async () => {
    const { server, run, config } = await bench();
    await using _ = server;
    await writeFile(config, '');
    const tokenFile = join(server.directory, 'token');
    await writeFile(tokenFile, server.token, { mode: 0o600 });
    const connected = await run('--token-file', tokenFile, 'connect', server.url);
    expect([connected.exitCode, connected.stdout]).toEqual([0, expect.stringContaining(config)]);
    expect(JSON.parse(readFileSync(config, 'utf8'))).toMatchObject({ url: server.url, token: server.token });
    expect((await run('server')).exitCode).toBe(0);
  });
});
