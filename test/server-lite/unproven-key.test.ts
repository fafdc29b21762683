import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { copyPayloadType, decodeClaim, enrolPath, vouchPayloadType } from '../../protocol/claim.ts';
import { generateKeyPair, type PublicKey } from '../../protocol/trust/ed25519.ts';
import { sealEnvelope } from '../../protocol/trust/envelope.ts';
import { signRequest } from '../../protocol/trust/http-signature.ts';
import type { ApplianceClient, Role } from '../support/appliance-client.ts';
import { openServerDatabase } from '../support/server-database.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;
const eventsShape = z.object({ events: z.array(z.object({ text: z.string() })) });

async function withRoot(): Promise<TestServer> {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return bench;
}

async function eventsOf(bench: TestServer, appliance: string, kind: string) {
  return eventsShape.parse((await bench.api('GET', `/api/events?appliance=${appliance}&kind=${kind}`)).body).events;
}

/** As updaters enrolled before they knew a proof, with any key that was read somewhere as the agent's. */
function enrolNaming(client: ApplianceClient, claim: string, agentKey: PublicKey) {
  const { updater } = client.keys;
  const vouch = sealEnvelope(vouchPayloadType, { v: 1, appliance: client.id, agentKey }, updater.privateKey);
  const body = { proto: 1, secret: decodeClaim(claim).secret, updaterKey: updater.publicKey, vouch };
  return client.send(enrolPath, body, updater);
}

const enrolByProof = (client: ApplianceClient, claim: string) =>
  client.send(enrolPath, client.enrolmentByKey(claim), client.keys.updater);

describe('a key that was named and not proven', () => {
  it.each<Role>(['updater', 'agent'])("goes to the appliance that proves it is its %s's", async (role) => {
    await using bench = await withRoot();
    const [victim, thief] = [await bench.client(), await bench.client()];
    const mole = await bench.claim('mole');
    expect((await enrolNaming(thief, mole, victim.keys[role].publicKey)).status).toBe(200);
    const claim = await bench.claim('victim');
    expect((await enrolByProof(victim, claim)).status).toBe(200);
    for (const each of ['updater', 'agent'] as const) expect((await victim.tryCheckIn(each)).status).toBe(200);
    expect((await bench.show('victim')).id).toBe(victim.id);
    const told = await eventsOf(bench, 'mole', 'key-taken-over');
    expect(told).toEqual([{ text: expect.stringContaining(victim.id) }]);
    expect(code((await enrolNaming(thief, mole, victim.keys[role].publicKey)).body)).toBe('already-enrolled');
    expect((await victim.tryCheckIn(role)).status).toBe(200);
  });

  it('goes there also where whoever named it has another one by now', async () => {
    await using bench = await withRoot();
    const [victim, thief] = [await bench.client(), await bench.client()];
    const mole = await bench.claim('mole');
    await enrolNaming(thief, mole, victim.keys.agent.publicKey);
    expect((await enrolByProof(thief, mole)).status).toBe(200);
    expect((await enrolByProof(victim, await bench.claim('victim'))).status).toBe(200);
    expect((await victim.tryCheckIn('agent')).status).toBe(200);
    expect((await thief.tryCheckIn('agent')).status).toBe(200);
  });

  it("of a released updater's agent stays its own against those that only name it, and is proven by the next set-up", async () => {
    await using bench = await withRoot();
    const [released, thief] = [await bench.client(), await bench.client()];
    const claim = await bench.claim('alpha');
    expect((await released.enrol(claim)).status).toBe(200);
    const mole = await bench.claim('mole');
    expect(code((await enrolNaming(thief, mole, released.keys.agent.publicKey)).body)).toBe('already-enrolled');
    expect((await enrolByProof(released, claim)).status).toBe(200);
    expect((await enrolByProof(released, claim)).status).toBe(200);
    const stolen = await bench.client();
    stolen.keys.agent = released.keys.agent;
    expect(code((await enrolByProof(stolen, mole)).body)).toBe('already-enrolled');
    expect((await released.tryCheckIn('agent')).status).toBe(200);
    expect(await eventsOf(bench, 'alpha', 'key-taken-over')).toEqual([]);
  });

  it('is proven by what the old form brings, too, and a wrong proof is refused there', async () => {
    await using bench = await withRoot();
    const client = await bench.client();
    const claim = await bench.claim('alpha');
    const { secret } = decodeClaim(claim);
    const old = (changes: object) => ({ ...client.enrolmentByKey(claim, changes), claimKey: undefined, secret });
    const wrong = await client.send(enrolPath, old({ agentKey: generateKeyPair() }), client.keys.updater);
    expect(code(wrong.body)).toBe('agent-key-not-proven');
    expect((await client.send(enrolPath, old({}), client.keys.updater)).status).toBe(200);
    const thief = await bench.client();
    thief.keys.agent = client.keys.agent;
    expect(code((await enrolByProof(thief, await bench.claim('mole'))).body)).toBe('already-enrolled');
  });
});

describe('one claim code that was used', () => {
  it("changes the agent's key a few times only, and repeating an enrolment is no change", async () => {
    await using bench = await withRoot();
    const client = await bench.client();
    const claim = await bench.claim('alpha');
    const answers: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      client.keys.agent = generateKeyPair();
      const { status } = await enrolByProof(client, claim);
      answers.push(status);
      if (status === 200) expect((await enrolByProof(client, claim)).status).toBe(200);
    }
    expect(answers.filter((status) => status === 200)).toHaveLength(9);
    const refused = await enrolByProof(client, claim);
    expect(refused).toMatchObject({ body: { code: 'claim-used', next: expect.stringContaining('--again') } });
    {
      using database = openServerDatabase(bench.data);
      expect(database.db.prepare('SELECT count(*) AS n FROM keys').get()).toEqual({ n: 10 });
    }
    const { body } = await bench.api('POST', '/api/claims', { name: 'alpha', again: true });
    expect((await enrolByProof(client, z.object({ claim: z.string() }).parse(body).claim)).status).toBe(200);
    expect((await client.tryCheckIn('agent')).status).toBe(200);
  });

  it('says whose copy it was once, however often its enrolment is sent again by whoever recorded it', async () => {
    await using bench = await withRoot();
    const original = await bench.appliance('orig');
    const { privateKey } = original.keys.updater;
    const send = async (name: string) => {
      const copy = await bench.client();
      const copyOf = sealEnvelope(copyPayloadType, { v: 1, appliance: original.id, copy: copy.id }, privateKey);
      const claim = await bench.claim(name);
      const body = Buffer.from(JSON.stringify({ ...copy.enrolmentByKey(claim), copyOf }));
      const signed = signRequest({ method: 'POST', path: enrolPath, body }, copy.keys.updater.privateKey);
      const headers = { 'content-type': 'application/json', ...signed };
      return async () => (await fetch(bench.url + enrolPath, { method: 'POST', body, headers })).status;
    };
    const recorded = await send('copy');
    for (let i = 0; i < 5; i += 1) expect(await recorded()).toBe(200);
    expect(await eventsOf(bench, 'orig', 'copy-enrolled')).toHaveLength(1);
    await bench.api('POST', '/api/appliances/orig/keys/updater/revoke');
    expect(await recorded()).toBe(200);
    expect(await (await send('another copy'))()).toBe(200);
    expect(await eventsOf(bench, 'orig', 'copy-enrolled')).toHaveLength(1);
  });
});
