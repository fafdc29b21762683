import { readdirSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { applyChange } from '../../image/ceremony/apply-change.ts';
import { readChange } from '../../image/ceremony/change.ts';
import { writeMetadataBundle } from '../../image/ceremony/metadata-bundle.ts';
import { rotateKeys } from '../../image/ceremony/rotate-keys.ts';
import { lookAtKey } from '../../image/keys/key-file.ts';
import { noPassphrase } from '../../image/keys/passphrase.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { checkoutRoot } from '../house/checkout.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const dayMs = 24 * 3_600_000;
const timestampShape = z.object({ signed: z.object({ version: z.int(), 'x-holdfast-issued-at': z.int() }) });
const rootShape = z.object({ signed: z.object({ expires: z.string() }) });

async function timestampOf(bench: TestServer) {
  const { signed } = timestampShape.parse(
    JSON.parse(await readFile(join(bench.data, 'releases', 'metadata', 'timestamp.json'), 'utf8')),
  );
  return { version: signed.version, issuedAt: signed['x-holdfast-issued-at'] };
}

/** The server is stopped, something happens, and it is started. */
async function restarted(bench: TestServer, between: () => unknown): Promise<void> {
  await bench.stop();
  await between();
  await bench.run();
}

const nowS = (): number => Date.now() / 1000;
const isNow = (seconds: number, withinS = 60): boolean => Math.abs(seconds - nowS()) < withinS;

/** `holdfast …` against this server. */
async function holdfast(bench: TestServer, ...args: string[]) {
  await writeFile(join(bench.directory, 'token'), bench.token, { mode: 0o600 });
  const options = ['--server', bench.url, '--token-file', join(bench.directory, 'token')];
  const main = join(checkoutRoot, 'server-lite', 'cli', 'main.ts');
  const { exitCode, stdout, stderr } = await execa(process.execPath, [main, ...args, ...options], { reject: false });
  return { exitCode, stdout: stdout.replace(/\s+/g, ' '), stderr };
}

describe('a machine whose clock is wrong', () => {
  it('by two hundred days ahead: nothing is signed with it, and everybody who looks is told', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    await restarted(bench, () => {
      bench.clock.wrongMs = 200 * dayMs;
    });
    const again = await bench.reconnected(client);
    expect(isNow((await again.checkIn('updater')).issuedAt)).toBe(true);
    expect(isNow((await timestampOf(bench)).issuedAt)).toBe(true);
    expect(isNow((await bench.sendOrder('alpha', 'identify')).createdAtMs / 1000)).toBe(true);
    const sentence = /which is 200 days ahead of what it signed before/;
    expect((await bench.server()).notices).toEqual([expect.stringMatching(sentence)]);
    expect(await (await fetch(`${bench.url}/`)).text()).toMatch(sentence);
    expect((await holdfast(bench, 'fleet')).stdout).toMatch(sentence);
    expect(bench.log.join('')).toMatch(sentence);
    bench.clock.wrongMs = 0;
    expect((await bench.server()).notices).toEqual([]);
  });

  it('that is right all the same is followed when an operator says so, and back when that was wrong', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    bench.clock.wrongMs = 200 * dayMs;
    expect((await holdfast(bench, 'server', 'clock', 'reset', '--help')).exitCode).toBe(0);
    expect((await holdfast(bench, 'server', 'clock', 'accept')).stdout).toMatch(/^Done: the server follows/);
    expect(isNow((await client.checkIn('updater')).issuedAt - 200 * 86_400)).toBe(true);
    const ahead = await timestampOf(bench);
    expect(isNow(ahead.issuedAt - 200 * 86_400)).toBe(true);
    bench.clock.wrongMs = 0;
    expect((await bench.server()).clock.state).toBe('behind');
    const { stderr } = await holdfast(bench, 'server', 'clock', 'accept');
    expect(stderr).toMatch(/^clock-behind: .*\nNext: /);
    // What to do is said once.
    expect(stderr.match(/holdfast server clock reset/g)).toHaveLength(1);
    expect((await holdfast(bench, 'server', 'clock', 'reset')).stdout).toMatch(/replaced \(holdfast keys rotate/);
    const after = await timestampOf(bench);
    expect([isNow(after.issuedAt), after.version]).toEqual([true, ahead.version + 1]);
    await restarted(bench, () => undefined);
    expect(isNow((await (await bench.reconnected(client)).checkIn('updater')).issuedAt, 600)).toBe(true);
    expect((await holdfast(bench, 'server', 'clock', 'reset')).stderr).toMatch(/^clock-in-order/);
  });

  it('and boots in 1970: what is signed goes on from before, and is signed anew at once when the clock is set', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    await restarted(bench, () => {
      bench.clock.wrongMs = -Date.now();
    });
    expect(isNow((await timestampOf(bench)).issuedAt, 400)).toBe(true);
    expect((await bench.server()).clock.state).toBe('behind');
    // The clock comes back two days later, which is what the machine was off.
    bench.clock.wrongMs = 2 * dayMs;
    await until('metadata of today', patienceMs, async () => {
      return isNow((await timestampOf(bench)).issuedAt - 2 * 86_400) ? true : null;
    });
    expect((await bench.server()).notices).toEqual([]);
  });
});

describe('metadata that ends', () => {
  it('is warned of a month before, with the date and what to do', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    bench.clock.aheadMs += 333 * dayMs;
    expect((await bench.server()).notices).toEqual([]);
    bench.clock.aheadMs += 3 * dayMs;
    const sentence =
      /the targets metadata \(version \d+\) expires on 20\d\d-\d\d-\d\d; holdfast release build and publish/;
    expect((await bench.server()).notices).toEqual([expect.stringMatching(sentence)]);
    await bench.publish('1.0.53');
    expect((await bench.server()).notices).toEqual([]);
  });

  it('is warned of for the root as well, with what to do for it, until a newer one is there', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const { signed } = rootShape.parse(
      JSON.parse(await readFile(join(bench.data, 'releases', 'metadata', '1.root.json'), 'utf8')),
    );
    bench.clock.aheadMs += Date.parse(signed.expires) - bench.clock.nowMs() - 33 * dayMs;
    // The targets have ended long before: they are renewed, and nothing is left to say.
    await bench.publish('1.0.53');
    expect((await bench.server()).notices).toEqual([]);
    bench.clock.aheadMs += 3 * dayMs;
    const day = signed.expires.slice(0, 10);
    expect((await bench.server()).notices).toEqual([
      `the root metadata (version 1) expires on ${day}; renew it with holdfast keys rotate root, then holdfast release publish`,
    ]);
    expect((await bench.upload(await renewedRoot(bench))).status).toBe(201);
    expect((await bench.server()).notices).toEqual([]);
  });

  it('of the roles that the server signs itself is never warned of: it renews them, as long as it runs', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const before = await timestampOf(bench);
    bench.clock.aheadMs += 60 * dayMs;
    await until('metadata of that day', patienceMs, async () => {
      return (await timestampOf(bench)).version > before.version ? true : null;
    });
    expect((await bench.server()).notices).toEqual([]);
  });

  it('or has ended, root and targets, stops neither the server nor check-ins, and can be renewed role by role', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    bench.clock.aheadMs += 11 * 365 * dayMs;
    await client.checkIn('updater');
    await restarted(bench, () => undefined);
    const again = await bench.reconnected(client);
    expect((await again.tryCheckIn('updater')).status).toBe(200);
    const ended = [/the root metadata \(version 1\) expired on/, /the targets metadata \(version \d+\) expired on/];
    expect((await bench.server()).notices).toEqual(ended.map((one) => expect.stringMatching(one)));
    expect((await holdfast(bench, 'fleet')).stdout).toMatch(/SERVER: the root metadata .* expired on/);
    expect((await bench.upload(await renewedRoot(bench))).status).toBe(201);
    expect((await bench.server()).notices).toEqual([expect.stringMatching(ended[1] ?? /never/)]);
    await bench.publish('1.0.53');
    expect((await bench.server()).notices).toEqual([]);
  });
});

async function renewedRoot(bench: TestServer): Promise<string> {
  const { dir, now } = await bench.repository();
  const { publicKey } = await lookAtKey(join(dir, 'keys', 'root-1.pem'));
  const { path } = await rotateKeys({
    dir,
    role: 'root',
    remove: [tufKeyId(publicKey ?? '')],
    add: [],
    isNew: true,
    threshold: null,
    serverKeys: await readServerKeys(join(bench.data, 'public-keys.json')),
    out: null,
    passphrases: noPassphrase,
    newPassphrase: async () => null,
    isDry: false,
    now: now(),
  });
  const { metadata } = await applyChange(dir, await readChange(path));
  return writeMetadataBundle(dir, metadata);
}

describe('a bundle that is gone', () => {
  it('is named as long as its release is offered, also with all of releases/, until it is published again', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    await bench.appliance('alpha');
    expect((await bench.server()).notices).toEqual([]);
    const bundles = join(bench.data, 'releases', 'bundles');
    const [name = ''] = readdirSync(bundles);
    const kept = join(bench.directory, name);
    await copyFile(join(bundles, name), kept);
    await rm(join(bundles, name));
    expect((await bench.server()).notices).toEqual([]);
    await bench.rollOut('1.0.52', ['alpha']);
    const said = expect.stringMatching(/^app 1\.0\.52: no appliance can fetch it, .*holdfast release publish FILE$/);
    expect((await bench.server()).notices).toEqual([said]);
    expect((await holdfast(bench, 'fleet')).stdout).toMatch(/SERVER: app 1\.0\.52: no appliance can fetch it/);
    await restarted(bench, () => rm(join(bench.data, 'releases'), { recursive: true }));
    expect((await bench.server()).notices).toContainEqual(said);
    expect((await bench.upload(kept)).status).toBe(200);
    expect((await bench.server()).notices).toEqual([]);
  });
});

describe('keys that the server does not know', () => {
  it('are listed for the operator until they are claimed, at most a bounded number of them', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.52');
    const stranger = await bench.client();
    for (let i = 0; i < 3; i += 1) expect((await stranger.tryCheckIn('updater')).signed).toBe(true);
    const { notices, unknownKeys } = await bench.server();
    expect(unknownKeys).toMatchObject([{ times: 3, address: '127.0.0.1' }]);
    expect(notices).toEqual([
      expect.stringMatching(/^a key that this server does not know sends requests \(key [0-9a-f]{12}… from 127/),
    ]);
    expect((await holdfast(bench, 'fleet')).stdout).toContain('claim it again');
    await stranger.enrolled(await bench.claim('alpha'));
    expect((await bench.server()).notices).toEqual([]);
    for (let i = 0; i < 4; i += 1) await (await bench.client()).tryCheckIn(i % 2 === 0 ? 'agent' : 'updater');
    expect((await bench.server()).notices).toEqual([
      expect.stringMatching(/^4 keys that this server does not know send requests, of 2 appliances or more \(key /),
    ]);
    for (let i = 0; i < 70; i += 1) await (await bench.client()).tryCheckIn('agent');
    expect((await bench.server()).unknownKeys).toHaveLength(64);
  });

  it('are not answered, signed, for what is no signed request at all', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    const response = await fetch(`${bench.url}/v1/checkin`, {
      method: 'POST',
      body: '{}',
      headers: { 'signature-input': `hf=();keyid="${'a'.repeat(64)}";alg="ed25519"`, signature: 'hf=:AAAA:' },
    });
    expect([response.status, response.headers.get('signature')]).toEqual([401, null]);
    expect((await bench.server()).unknownKeys).toEqual([]);
  });
});
