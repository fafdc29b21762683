import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeClaim } from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { keyIdOf } from '../../protocol/ids.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withRoot(): Promise<TestServer> {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return bench;
}

describe('a claim', () => {
  it('cannot be made before there is a root to trust', async () => {
    await using bench = await TestServer.start();
    const answer = await bench.api('POST', '/api/claims', { name: 'alpha', site: 'Hall 3' });
    expect([answer.status, code(answer.body)]).toEqual([409, 'no-root-yet']);
  });

  it('carries the address and pins the answer key and the root, which the enrolment hands out', async () => {
    await using bench = await withRoot();
    const text = await bench.claim('alpha');
    const claim = decodeClaim(text);
    const client = await bench.client();
    const answer = await client.enrolled(text);
    expect(claim.url).toBe(bench.url);
    expect(keyIdOf(Buffer.from(answer.answerKeys[0] ?? '', 'hex'))).toBe(claim.key);
    expect(sha256(Buffer.from(answer.root, 'base64'))).toBe(claim.root);
    expect(answer).toMatchObject({ appliance: client.id, name: 'alpha', site: 'Hall 3' });
  });

  it('enrols one appliance, and the same one again when its answer was lost', async () => {
    await using bench = await withRoot();
    const text = await bench.claim('alpha');
    const [client, thief] = [await bench.client(), await bench.client()];
    const first = await client.enrol(text);
    const second = await client.enrol(text);
    expect([first.status, second.status, second.signed]).toEqual([200, 200, true]);
    const refused = await thief.enrol(text);
    expect([refused.status, code(refused.body)]).toEqual([403, 'claim-used']);
  });

  it('is worth nothing with another secret, when it is too old, or when a newer one replaced it', async () => {
    await using bench = await withRoot();
    const [old, replaced] = [await bench.claim('alpha'), await bench.claim('beta')];
    await bench.claim('beta');
    const client = await bench.client();
    expect(code((await client.enrol(old, { secret: 'x'.repeat(32) })).body)).toBe('claim-unknown');
    expect(code((await client.enrol(replaced)).body)).toBe('claim-unknown');
    bench.clock.aheadMs += 31 * 24 * 3_600_000;
    expect(code((await client.enrol(old)).body)).toBe('claim-expired');
  });

  it('is refused for a name that is taken', async () => {
    await using bench = await withRoot();
    await bench.appliance('alpha');
    expect(code((await bench.api('POST', '/api/claims', { name: 'ALPHA', site: 'Hall 3' })).body)).toBe('name-taken');
  });
});

describe('enrolling', () => {
  it("takes the agent's key only by the word of the updater's", async () => {
    await using bench = await withRoot();
    const client = await bench.client();
    const reply = await client.enrol(await bench.claim('alpha'), { vouchedBy: generateKeyPair() });
    expect([reply.status, code(reply.body)]).toEqual([403, 'vouch-not-trusted']);
    expect((await bench.api('GET', '/api/appliances')).body).toEqual({ appliances: [] });
  });

  it('is refused when the request is signed by another key than the one that enrols', async () => {
    await using bench = await withRoot();
    const client = await bench.client();
    const claim = decodeClaim(await bench.claim('alpha'));
    const body = {
      proto: 1,
      secret: claim.secret,
      updaterKey: client.keys.updater.publicKey,
      vouch: { payloadType: '', payload: '', signatures: [{ keyid: '', sig: '' }] },
    };
    const reply = await client.send('/v1/enrol', body, generateKeyPair());
    expect([reply.status, code(reply.body), reply.signed]).toEqual([401, 'key-unknown', false]);
  });

  it("does not take a key that is another appliance's", async () => {
    await using bench = await withRoot();
    const alpha = await bench.appliance('alpha');
    const beta = await bench.client();
    beta.keys.agent = alpha.keys.agent;
    expect(code((await beta.enrol(await bench.claim('beta'))).body)).toBe('already-enrolled');
  });

  it('replaces a lost agent key on a new claim, and never takes the old one back', async () => {
    await using bench = await withRoot();
    const client = await bench.appliance('alpha');
    const lost = client.keys.agent;
    client.keys.agent = generateKeyPair();
    expect((await client.enrol(await bench.claim('alpha two'))).status).toBe(200);
    expect((await client.tryCheckIn('agent')).status).toBe(200);
    client.keys.agent = lost;
    expect(code((await client.tryCheckIn('agent')).body)).toBe('key-revoked');
    expect(code((await client.enrol(await bench.claim('alpha three'))).body)).toBe('key-revoked');
  });
});
