import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { checkInPath } from '../../protocol/check-in.ts';
import { counterSpareMax } from '../../server-lite/machine/counter-mark.ts';
import { checkoutRoot } from '../house/checkout.ts';
import { TestServer } from '../support/test-server.ts';

const diskBytes = 16 * 1024 * 1024;

/** A server whose data is on a small file system of its own. */
class SmallDisk implements AsyncDisposable {
  readonly bench: TestServer;
  constructor(bench: TestServer) {
    this.bench = bench;
  }

  static async start(): Promise<SmallDisk> {
    const bench = await TestServer.start();
    await bench.stop();
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'data', bench.data]);
    await bench.run();
    return new SmallDisk(bench);
  }

  fill(): void {
    for (const bytes of [64 * 1024, 4096, 1]) {
      try {
        for (;;) writeFileSync(this.#ballast, Buffer.alloc(bytes, 1), { flag: 'a' });
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
    }
    this.bench.clock.aheadMs += 10_000;
  }

  makeRoom(): void {
    rmSync(this.#ballast);
    this.bench.clock.aheadMs += 10_000;
  }

  async asACrashLeavesIt(): Promise<string> {
    const copy = join(this.bench.directory, 'copy');
    await cp(this.bench.data, copy, { recursive: true, filter: (path) => path !== this.#ballast });
    return copy;
  }

  async putBack(copy: string): Promise<void> {
    for (const name of await readdir(this.bench.data)) await rm(join(this.bench.data, name), { recursive: true });
    await cp(copy, this.bench.data, { recursive: true });
  }

  get #ballast(): string {
    return join(this.bench.data, 'ballast');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench.stop();
    await execa('umount', ['--lazy', this.bench.data]);
    await this.bench[Symbol.asyncDispose]();
  }
}

const full = {
  code: 'server-disk-full',
  message: expect.stringContaining('disk'),
  next: expect.stringContaining('make room'),
};

describe('a server whose disk is full', () => {
  it('says so to the operator in every refusal and in a notice, and to an appliance signed; and goes on with room', async () => {
    await using disk = await SmallDisk.start();
    const { bench } = disk;
    await bench.publish('1.0.49');
    const client = await bench.appliance('alpha');
    await client.checkIn('agent');
    await client.checkIn('updater');
    const next = await bench.build('1.0.50');
    disk.fill();
    const event = client.event('agent', { kind: 'fault', text: 'x'.repeat(900) });
    const refused = await client.tryCheckIn('agent', { events: [event] });
    expect(refused).toMatchObject({ status: 503, signed: true, body: full });
    expect(await bench.upload(next.path)).toMatchObject({ status: 503, body: full });
    const claims = [];
    for (let i = 0; i < 40; i += 1)
      claims.push(await bench.api('POST', '/api/claims', { name: `n${i}`, site: 'Hall' }));
    expect(claims.at(-1)).toMatchObject({ status: 503, body: full });
    expect((await bench.server()).notices).toContainEqual(expect.stringMatching(/^the disk of .*data is full/));
    disk.makeRoom();
    expect((await client.tryCheckIn('agent', { events: [event] })).status).toBe(200);
    expect((await bench.api('POST', '/api/claims', { name: 'later', site: 'Hall' })).status).toBe(201);
    expect(await bench.upload(next.path)).toMatchObject({ status: 201 });
  });

  it('offers a release all the same, and hears with room again that it failed', async () => {
    await using disk = await SmallDisk.start();
    const { bench } = disk;
    const manifest = await bench.publish('1.0.50');
    const client = await bench.appliance('alpha');
    await client.checkIn('updater');
    const { id } = await bench.rollOut('1.0.50', ['alpha']);
    disk.fill();
    expect((await client.checkIn('updater')).desired?.release?.version).toBe('1.0.50');
    expect((await bench.api('GET', '/api/rollouts')).status).toBe(200);
    disk.makeRoom();
    const release = {
      tx: 1,
      component: 'app',
      manifest,
      version: '1.0.50',
      from: '1.0.49',
      reason: 'stalled',
    } as const;
    const events = [client.event('updater', { kind: 'release-rolled-back', text: 'it stalled', release })];
    await client.checkIn('updater', { events, quarantine: [manifest] });
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', failed: [{ name: 'alpha', why: 'it stalled' }] });
  });

  it('says so to an upload that does not fit, and leaves nothing of it behind', async () => {
    await using disk = await SmallDisk.start();
    const path = join(disk.bench.directory, 'large.hfb');
    await writeFile(path, randomBytes(3 * diskBytes));
    expect(await disk.bench.upload(path)).toMatchObject({ status: 503, body: full });
    expect(await readdir(join(disk.bench.data, 'releases', 'incoming'))).toEqual([]);
    await disk.bench.publish('1.0.49');
  });

  it('answers check-ins that store nothing, and takes none of them twice after a crash', async () => {
    await using disk = await SmallDisk.start();
    const { bench } = disk;
    await bench.publish('1.0.49');
    const client = await bench.appliance('alpha');
    await client.checkIn('updater');
    disk.fill();
    // More than was reserved on the disk: the ceiling would have to be written.
    client.seq.updater += 900;
    for (let i = 0; i < 3; i += 1) {
      client.seq.updater += 400;
      expect((await client.tryCheckIn('updater')).status).toBe(200);
    }
    const heard = client.request('updater', { seq: client.seq.updater });
    const statuses = [];
    for (let taken = 0; taken <= counterSpareMax; taken += 900) {
      client.seq.updater += 900;
      statuses.push((await client.tryCheckIn('updater')).status);
    }
    expect([statuses[0], statuses.at(-1)]).toEqual([200, 503]);
    const copy = await disk.asACrashLeavesIt();
    await bench.stop();
    await disk.putBack(copy);
    await bench.run();
    const again = await bench.reconnected(client);
    expect((await again.send(checkInPath, heard, again.keys.updater)).status).toBe(409);
  });
});

describe('a backup', () => {
  it('to a full disk says which disk, and what to do', async () => {
    await using bench = await TestServer.start();
    const out = await mkdtemp(join(tmpdir(), 'hf-full-'));
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'data', out]);
    try {
      const args = ['backup', '--data', bench.data, '--out', join(out, 'one.tar')];
      const { exitCode, stderr } = await execa(
        process.execPath,
        [join(checkoutRoot, 'server-lite', 'main.ts'), ...args],
        {
          reject: false,
        },
      );
      expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^disk-full: the disk of .*\nNext: make room/)]);
      expect(await readdir(out)).toEqual([]);
    } finally {
      await execa('umount', ['--lazy', out]);
      await rm(out, { recursive: true, force: true });
    }
  });
});

describe('a start on a full disk', () => {
  it.each(['a new directory', 'one with data'])('with %s says which disk, and what to do', async (which) => {
    const directory = await mkdtemp(join(tmpdir(), 'hf-full-'));
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'data', directory]);
    const serve = () => {
      const args = [join(checkoutRoot, 'server-lite', 'main.ts'), 'serve', '--data', join(directory, 'data'), '--json'];
      return execa(process.execPath, args, { reject: false, timeout: 20_000 });
    };
    try {
      if (which === 'one with data') {
        const first = serve();
        first.stdout.once('data', () => first.kill('SIGTERM'));
        expect((await first).exitCode).toBe(0);
      }
      expect(() => {
        for (;;) writeFileSync(join(directory, 'ballast'), Buffer.alloc(4096, 1), { flag: 'a' });
      }).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
      const { exitCode, stderr } = await serve();
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/\{"code":"disk-full","message":"the disk of .*data is full: .*"next":"make room/);
    } finally {
      await execa('umount', ['--lazy', directory]);
      await rm(directory, { recursive: true, force: true });
    }
  });
});
