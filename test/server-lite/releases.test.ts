import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { revokeRelease } from '../../image/repository.ts';
import { sha256 } from '../../protocol/digest.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { trustRoot, updateSnapshot, updateTargets, updateTimestamp } from '../../protocol/trust/tuf.ts';
import { findTarget, issuedAtOf, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import { parseRange } from '../../server-lite/release/serve-files.ts';
import { newRepository } from '../support/new-repository.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function fetched(bench: TestServer, path: string): Promise<Buffer> {
  const response = await fetch(`${bench.url}/releases/${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** Everything that is served, by name and digest. */
async function shelf(bench: TestServer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const folder of ['metadata', 'targets', 'bundles', 'incoming']) {
    for (const name of await readdir(join(bench.data, 'releases', folder))) {
      files[`${folder}/${name}`] = sha256(await readFile(join(bench.data, 'releases', folder, name)));
    }
  }
  return files;
}

describe('publishing', () => {
  it('serves what a client of The Update Framework can walk, down to the manifest and the bundle', async () => {
    await using bench = await TestServer.start();
    const built = await bench.build('1.0.52');
    expect((await bench.upload(built.path)).status).toBe(201);
    const now = new Date();
    let trusted = trustRoot(await fetched(bench, 'metadata/1.root.json'));
    trusted = updateTimestamp(trusted, await fetched(bench, 'metadata/timestamp.json'), now);
    trusted = updateSnapshot(trusted, await fetched(bench, 'metadata/1.snapshot.json'), now);
    trusted = updateTargets(trusted, await fetched(bench, `metadata/${targetsVersion(trusted)}.targets.json`), now);
    const target = findTarget(trusted, 'app-1.0.52.manifest.json');
    expect(target.sha256).toBe(built.manifest);
    verifyTarget(target, await fetched(bench, `targets/${target.sha256}.app-1.0.52.manifest.json`));
    expect(await fetched(bench, 'bundles/app-1.0.52.hfb')).toEqual(await readFile(built.path));
    expect(issuedAtOf(trusted)).toBeGreaterThan(Date.now() / 1000 - 60);
  });

  it('changes nothing when the same bundle comes again', async () => {
    await using bench = await TestServer.start();
    const built = await bench.build('1.0.52');
    await bench.upload(built.path);
    const before = await shelf(bench);
    const again = await bench.upload(built.path);
    expect([again.status, again.body]).toMatchObject([200, { outcome: 'unchanged' }]);
    expect(await shelf(bench)).toEqual(before);
  });

  it.each<[string, (path: string) => Promise<void>]>([
    ['is gone', (path) => rm(path)],
    ['is empty', (path) => writeFile(path, '')],
    ['was cut to half', async (path) => truncate(path, Math.floor((await stat(path)).size / 2))],
    ['is rubbish of the same size', async (path) => writeFile(path, Buffer.alloc((await stat(path)).size, 7))],
    [
      'is a directory',
      (path) =>
        rm(path)
          .then(() => mkdir(path))
          .then(() => undefined),
    ],
  ])('again puts back a file of the release that %s, and says so', async (_, damage) => {
    await using bench = await TestServer.start();
    const built = await bench.build('1.0.52');
    await bench.upload(built.path);
    const files = async () =>
      Object.fromEntries(Object.entries(await shelf(bench)).filter(([name]) => !name.startsWith('metadata/')));
    const before = await files();
    const folder = (name: string) => join(bench.data, 'releases', name);
    for (const path of [
      join(folder('bundles'), 'app-1.0.52.hfb'),
      join(folder('targets'), `${built.manifest}.app-1.0.52.manifest.json`),
    ]) {
      await damage(path);
      const again = await bench.upload(built.path);
      expect([again.status, again.body]).toMatchObject([200, { outcome: 'restored' }]);
      expect(await files()).toEqual(before);
    }
  });

  it('S10: refuses a bundle with a changed byte anywhere, and a failed publication changes nothing', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const before = await shelf(bench);
    const good = await readFile((await bench.build('1.0.52')).path);
    const path = join(bench.directory, 'bad.hfb');
    // About a hundred places, and the one in a header where tar itself would not mind.
    const places = Array.from({ length: 100 }, (_, index) => Math.floor((index * good.length) / 100));
    const accepted: number[] = [];
    for (const at of [154, 155, ...places]) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      await writeFile(path, bad);
      if ((await bench.upload(path)).status !== 422) accepted.push(at);
    }
    expect(accepted).toEqual([]);
    expect(await shelf(bench)).toEqual(before);
  });

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1_500)],
    ['with something behind its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(512)])],
    ['empty', () => Buffer.alloc(0)],
    ['that is none', () => Buffer.from('<html>'.repeat(500))],
  ])('refuses a bundle %s', async (_, change) => {
    await using bench = await TestServer.start();
    const path = join(bench.directory, 'bad.hfb');
    await writeFile(path, change(await readFile((await bench.build('1.0.52')).path)));
    const answer = await bench.upload(path);
    expect([answer.status, code(answer.body)]).toEqual([422, 'bundle-malformed']);
    expect(Object.keys(await shelf(bench))).toEqual([]);
  });

  it('refuses a bundle of a repository that was made for another server', async () => {
    await using bench = await TestServer.start();
    const foreign = {
      answer: generateKeyPair().publicKey,
      snapshot: generateKeyPair().publicKey,
      timestamp: generateKeyPair().publicKey,
    };
    const repository = await newRepository({
      dir: join(bench.directory, 'foreign'),
      serverKeys: foreign,
      now: () => new Date(),
    });
    const answer = await bench.upload((await bench.build('1.0.52', 'app', repository)).path);
    expect([answer.status, code(answer.body)]).toEqual([422, 'bundle-untrusted']);
  });

  it('refuses a bundle of another repository for the same server: its root is not the known one', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const { serverKeys, now } = await bench.repository();
    const other = await newRepository({ dir: join(bench.directory, 'other'), serverKeys, now });
    const answer = await bench.upload((await bench.build('1.0.52', 'app', other)).path);
    expect([answer.status, code(answer.body)]).toEqual([422, 'bundle-untrusted']);
  });

  it('says of a bundle whose list has expired that it must be signed again', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const { path } = await bench.build('1.0.52');
    bench.clock.aheadMs += 380 * 86_400_000;
    expect(await bench.upload(path)).toMatchObject({
      status: 422,
      body: {
        code: 'bundle-untrusted',
        message: expect.stringMatching(/^the signed list of the bundle \(version \d+\) expired on 20\d\d-/),
        next: expect.stringMatching(/^sign it again: holdfast release build/),
      },
    });
  });

  it('takes releases in another order than they were built in: the newer targets decide', async () => {
    await using bench = await TestServer.start();
    const first = await bench.build('1.0.52');
    const old = join(bench.directory, 'old.hfb');
    await copyFile(first.path, old);
    const second = await bench.build('1.0.53');
    expect((await bench.upload(second.path)).status).toBe(201);
    expect((await bench.upload(old)).status).toBe(201);
  });

  it('offers a release that was withdrawn to nobody', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    await client.checkIn('updater');
    await bench.rollOut('1.0.52', ['alpha']);
    await revokeRelease(await bench.repository(), 'app', '1.0.52');
    await bench.publish('1.0.53');
    const { desired } = await client.checkIn('updater');
    expect(desired).toMatchObject({ release: null, reasons: ['app 1.0.52 was withdrawn'] });
    expect(code((await bench.api('POST', '/api/rollouts', { version: '1.0.52' })).body)).toBe('release-withdrawn');
  });

  it('signs the timestamp anew when it starts, with a higher version', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const versionOf = async () =>
      signedVersion.parse(JSON.parse(String(await fetched(bench, 'metadata/timestamp.json')))).signed.version;
    const before = await versionOf();
    await bench.stop();
    await bench.run();
    expect(await versionOf()).toBe(before + 1);
  });

  it('publishes one bundle at a time when several come at once', async () => {
    await using bench = await TestServer.start();
    const paths: string[] = [];
    for (const version of ['1.0.1', '1.0.2', '1.0.3', '1.0.4']) paths.push((await bench.build(version)).path);
    const answers = await Promise.all(paths.map((path) => bench.upload(path)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  });
});

const signedVersion = z.object({ signed: z.object({ version: z.number() }) });

function targetsVersion(trusted: ReturnType<typeof trustRoot>): number {
  return trusted.snapshot?.metadata.signed.meta['targets.json']?.version ?? 0;
}

describe('the release files', () => {
  it('are served in ranges', async () => {
    await using bench = await TestServer.start();
    const whole = await readFile((await bench.build('1.0.52')).path);
    await bench.publish('1.0.52');
    const url = `${bench.url}/releases/bundles/app-1.0.52.hfb`;
    const part = await fetch(url, { headers: { range: 'bytes=512-1535' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 512-1535/${whole.length}`]);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(whole.subarray(512, 1536));
    const end = await fetch(url, { headers: { range: 'bytes=-100' } });
    expect(Buffer.from(await end.arrayBuffer())).toEqual(whole.subarray(-100));
    const beyond = await fetch(url, { headers: { range: `bytes=${whole.length}-` } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${whole.length}`]);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(whole.length)]);
  });

  it('can only be files of the repository', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const paths = [
      'metadata/..%2f..%2fserver.db',
      'metadata/.hidden',
      'incoming/x',
      'keys/answer.pem',
      'metadata/99.root.json',
      'metadata/timestamp.json.tmp',
    ];
    const statuses = await Promise.all(
      paths.map(async (path) => (await fetch(`${bench.url}/releases/${path}`)).status),
    );
    expect(statuses).toEqual(paths.map(() => 404));
  });

  it.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=5-99', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-99', { start: 0, end: 9 }],
    ['bytes=7-3', null],
    ['bytes=0-1,4-5', null],
    ['chapters=1-2', null],
    [undefined, null],
  ])('read the range %s of ten bytes', (header, range) => {
    expect(parseRange(header, 10)).toEqual(range);
  });
});
