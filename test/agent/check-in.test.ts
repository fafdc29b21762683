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

  it('follows the pace of the server, and an order to check in comes before it', async () => {
    appliance.server.nextInS = 60;
    const id = randomUUID();
    appliance.server.order({ version: 1, id, appliance: appliance.id, kind: 'check-in', expiresAtS: 1_800_000_000 });
    appliance.run();
    await until('the end of the order', () => appliance.server.orderEnd(id)?.state === 'succeeded');
    expect(appliance.server.requests.length).toBeLessThanOrEqual(6);
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
    // What can not be read names nobody: then the keys of the claim count.
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
