import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkInRequestShape } from '../../protocol/check-in.ts';
import { sha256 } from '../../protocol/digest.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import type { Conduct } from '../support/signing-server.ts';
import { TestAppliance, until } from './agent-process.ts';

let appliance: TestAppliance;

beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});

afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  expect(problems).toEqual([]);
});

async function serverWord(word: string): Promise<void> {
  await until(`server ${word}`, async () => (await appliance.health())?.server === word);
}

describe('a check-in', () => {
  it('comes at once after the start, signed, with its start, its version and its health', async () => {
    appliance.server.nextInS = 60;
    appliance.run();
    await serverWord('ok');
    const [first] = appliance.server.requests;
    expect(checkInRequestShape.parse(first)).toMatchObject({
      proto: 1,
      seq: 1,
      have: { app: { version: '0.0.0-dev', slot: '0', manifest: appliance.start.manifest } },
      start: sha256(appliance.start.nonce),
      health: { status: 'ok' },
      features: expect.arrayContaining(['order:update_iso']),
    });
  });

  it('comes a second time soon after the start, whatever the pace: a trial needs two', async () => {
    appliance.server.nextInS = 86_400;
    appliance.run();
    await until('a second check-in', () => appliance.server.requests.length >= 2);
    const starts = appliance.server.requests.map((request) => checkInRequestShape.parse(request).start);
    expect(starts).toEqual([sha256(appliance.start.nonce), sha256(appliance.start.nonce)]);
  });

  it('names the answer that was taken last, and after a start none', async () => {
    const { server } = appliance;
    server.nextInS = 0.2;
    const named = () => server.requests.map((request) => checkInRequestShape.parse(request).last);
    const run = appliance.run();
    await until('three check-ins', () => named().length >= 3);
    server.conduct = 'foreign-key';
    const before = named().length;
    await until('answers that are not the server’s', () => named().length >= before + 3);
    run.kill('SIGKILL');
    await run.exit();
    const last = server.signatures.map((one) => (one === null ? undefined : sha256(one)));
    expect(named().slice(0, 3)).toEqual([undefined, last[0], last[1]]);
    // What was not taken is not named.
    expect(named().at(-1)).toBe(named().at(-2));
    const known = named().length;
    server.conduct = 'honest';
    appliance.run();
    await until('a check-in of the next start', () => named().length > known);
    expect(named()[known]).toBeUndefined();
  });

  it('follows the pace of the server, and an order to check in comes before it', async () => {
    appliance.server.nextInS = 60;
    const id = randomUUID();
    appliance.server.order({ version: 1, id, appliance: appliance.id, kind: 'check-in', expiresAtS: 1_800_000_000 });
    appliance.run();
    await until('the end of the order', () => appliance.server.orderEnd(id)?.state === 'succeeded');
    expect(appliance.server.requests.length).toBeLessThanOrEqual(6);
  });

  it('that is told of a used up quota has reached the server, and what waits is sent once it may', async () => {
    appliance.run();
    await serverWord('ok');
    appliance.server.conduct = 'over-quota';
    const before = appliance.server.requests.length;
    await until('three that are not taken', () => appliance.server.requests.length >= before + 3);
    expect((await appliance.health())?.server).toBe('ok');
    const records = appliance.server.records().length;
    appliance.server.conduct = 'honest';
    await until('more records', () => appliance.server.records().length > records && appliance.server.contiguous());
  });

  it('empties a backlog in batches that fit, without waiting for the pace', async () => {
    await appliance.server.stop();
    appliance.settings({ intervalMs: 20 });
    appliance.run();
    await until('a backlog', async () => ((await appliance.health())?.progress ?? 0) > 60);
    appliance.server.nextInS = 60;
    await appliance.server.start(Number(new URL(appliance.server.url).port));
    await until('the backlog to arrive', () => appliance.server.contiguous() >= 60);
  });

  it('never uses a counter twice over restarts and kills', async () => {
    const seqs = () => appliance.server.requests.map(({ seq }) => seq);
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGKILL'] as const) {
      const known = seqs().length;
      const run = appliance.run();
      await until('check-ins', () => seqs().length >= known + 2);
      run.kill(signal);
      await run.exit();
    }
    expect(new Set(seqs()).size).toBe(seqs().length);
    expect(seqs()).toEqual(seqs().toSorted((a, b) => a - b));
  });

  it('goes on with the next counter after a clean stop', async () => {
    const seqs = () => appliance.server.requests.map(({ seq }) => seq);
    const run = appliance.run();
    await until('check-ins', () => seqs().length >= 2);
    run.kill('SIGTERM');
    await run.exit();
    const before = seqs();
    appliance.run();
    await until('a check-in of the next start', () => seqs().length > before.length);
    // One may have been cut off by the stop before it arrived.
    expect((seqs()[before.length] ?? 0) - (before.at(-1) ?? 0)).toBeLessThanOrEqual(2);
  });

  it('goes on from the counter that a signed refusal names', async () => {
    appliance.server.lastSeq = 5_000;
    appliance.run();
    await serverWord('ok');
    expect(appliance.server.lastSeq).toBeGreaterThan(5_000);
  });
});

describe('a retired appliance', () => {
  it('keeps working, and asks once a day', async () => {
    appliance.server.conduct = 'retired';
    const run = appliance.run();
    await serverWord('fail');
    const before = await appliance.healthy();
    await until('more readings', async () => ((await appliance.health())?.progress ?? 0) > before.progress + 3);
    expect(run.stdout).toContain('asking once a day');
    expect(appliance.server.requests.length).toBe(1);
  });

  it('asks at once when set-up has written its credentials anew, be they the same', async () => {
    appliance.server.conduct = 'retired';
    appliance.run();
    await serverWord('fail');
    appliance.server.conduct = 'honest';
    appliance.writeCredentials();
    await serverWord('ok');
  });
});

describe('an answer that the server did not sign for this request', () => {
  it('is believed by the keys that the updater took from signed metadata, and by no other', async () => {
    const write = (content: string) => writeFileSync(appliance.layout.answerKeys, content);
    const named = (key: string) => write(JSON.stringify({ v: 1, of: 'ab'.repeat(32), answerKeys: [key] }));
    named(generateKeyPair().publicKey);
    appliance.run();
    await serverWord('fail');
    named(appliance.server.answerKeys.publicKey);
    await serverWord('ok');
    // What cannot be read names nobody: then the keys of the claim count.
    for (const odd of ['garbage', '', '{}', ' '.repeat(1_000_000)]) {
      write(odd);
      const before = appliance.server.requests.length;
      await until('two more check-ins', () => appliance.server.requests.length >= before + 2);
      expect((await appliance.health())?.server).toBe('ok');
    }
  });

  it.each<Conduct>(['unsigned', 'foreign-key', 'for-another-request', 'html', 'error-500'])(
    'acknowledges nothing and orders nothing: %s',
    async (conduct) => {
      appliance.server.conduct = conduct;
      const id = randomUUID();
      appliance.server.order({ version: 1, id, appliance: appliance.id, kind: 'identify', expiresAtS: 1_800_000_000 });
      const run = appliance.run();
      await until('tries', () => appliance.server.requests.length >= 2);
      await serverWord('fail');
      expect(run.ended).toBeNull();
      // Honest again, it gets everything from the first event on.
      appliance.server.conduct = 'honest';
      await until('the order', () => appliance.server.orderEnd(id)?.state === 'succeeded');
      expect(appliance.server.contiguous()).toBe(Math.max(...appliance.server.events.keys()));
    },
  );
});
