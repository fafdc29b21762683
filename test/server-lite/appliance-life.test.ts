import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { enrolPath } from '../../protocol/claim.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withServer(): Promise<TestServer> {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return bench;
}

const retire = (bench: TestServer, name: string) =>
  bench.api('POST', `/api/appliances/${encodeURIComponent(name)}/retire`);
const rename = (bench: TestServer, name: string, body: object) =>
  bench.api('POST', `/api/appliances/${encodeURIComponent(name)}/rename`, body);
async function claimAgain(bench: TestServer, name: string): Promise<string> {
  const { status, body } = await bench.api('POST', '/api/claims', { name, again: true });
  expect(status).toBe(201);
  return z.object({ claim: z.string() }).parse(body).claim;
}

describe('a retired appliance', () => {
  it('frees its name, ends its orders and assignments, and stays known', async () => {
    await using bench = await withServer();
    const old = await bench.appliance('alpha');
    const order = await bench.sendOrder('alpha', 'run-checks');
    await bench.api('POST', '/api/appliances/alpha/assign', { version: '1.0.49' });
    const first = await retire(bench, 'alpha');
    expect([first.status, first.body]).toMatchObject([200, { already: false, why: '', reasons: [] }]);
    const second = await retire(bench, 'alpha');
    expect([second.status, second.body]).toMatchObject([200, { already: true, state: 'retired' }]);
    expect(await bench.order(order.id)).toMatchObject({ state: 'failed', error: 'the appliance was retired' });
    expect(await bench.show('alpha')).toMatchObject({
      id: old.id,
      name: 'alpha (retired)',
      state: 'retired',
      assigned: [],
    });
    const next = await bench.appliance('alpha');
    expect(await bench.show('alpha')).toMatchObject({ id: next.id });
    expect((await next.tryCheckIn('updater')).status).toBe(200);
    const gone = await old.tryCheckIn('updater');
    expect([gone.status, code(gone.body), gone.signed]).toEqual([410, 'appliance-retired', true]);
    await retire(bench, 'alpha');
    expect(await bench.show(next.id)).toMatchObject({ name: 'alpha (retired 2)' });
    const told = z.object({ events: z.array(z.object({ kind: z.string() })) });
    const { body } = await bench.api('GET', `/api/events?appliance=${old.id}&kind=retired`);
    expect(told.parse(body).events).toHaveLength(1);
  });

  it('comes back by a new claim, and by no claim of before', async () => {
    await using bench = await withServer();
    const client = await bench.client();
    const first = await bench.claim('alpha');
    await client.enrolled(first);
    await retire(bench, 'alpha');
    expect(code((await client.enrol(first)).body)).toBe('appliance-retired');
    const text = await claimAgain(bench, 'alpha');
    expect(code((await (await bench.client()).enrol(text)).body)).toBe('claim-for-another');
    expect(await client.enrolled(text)).toMatchObject({ appliance: client.id, name: 'alpha' });
    client.have = { app: { version: '1.0.49', slot: '0' } };
    expect((await client.tryCheckIn('updater')).status).toBe(200);
    expect((await bench.show('alpha')).state).not.toBe('retired');
  });

  it('does not come back by a code that was made for it before it was retired', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const before = await claimAgain(bench, 'alpha');
    await retire(bench, 'alpha');
    expect(code((await client.enrol(before)).body)).toBe('claim-unknown');
    expect((await bench.show(client.id)).state).toBe('retired');
  });

  it('whose key was stolen is another one by a plain claim of its name, and the thief stays out', async () => {
    await using bench = await withServer();
    const stolen = await bench.appliance('alpha');
    const revoke = await bench.api('POST', '/api/appliances/alpha/keys/updater/revoke');
    expect(revoke.status).toBe(200);
    const steps = /appliance retire alpha;.*claim create --name NAME --site SITE, without --again;.*--new-identity/;
    const refusals = [await stolen.tryCheckIn('updater'), await stolen.enrol(await claimAgain(bench, 'alpha'))];
    for (const { body } of refusals)
      expect(body).toMatchObject({ code: 'key-revoked', next: expect.stringMatching(steps) });
    await retire(bench, 'alpha');
    const plain = await bench.claim('alpha');
    const anew = await bench.client();
    expect((await anew.send(enrolPath, anew.enrolmentByKey(plain), anew.keys.updater)).status).toBe(200);
    expect(await bench.show('alpha')).toMatchObject({ id: anew.id });
    expect((await anew.tryCheckIn('updater')).status).toBe(200);
    for (const role of ['updater', 'agent'] as const)
      expect([401, 410]).toContain((await stolen.tryCheckIn(role)).status);
    expect(code((await stolen.enrol(plain)).body)).toBe('claim-used');
  });
});

describe('a retired appliance whose name another one has', () => {
  it('is claimed again by its id, or by its name as a retired one, once its former name is free', async () => {
    await using bench = await withServer();
    const old = await bench.appliance('alpha');
    await retire(bench, 'alpha');
    await bench.appliance('alpha');
    const asked = (name: string) => bench.api('POST', '/api/claims', { name, again: true });
    for (const name of [old.id, 'alpha (retired)']) expect(code((await asked(name)).body)).toBe('name-taken');
    await rename(bench, 'alpha', { name: 'beta' });
    for (const name of [old.id, 'Alpha (retired)']) {
      expect(await old.enrolled(await claimAgain(bench, name))).toMatchObject({ name: 'alpha', site: 'Hall 3' });
      expect(await bench.show('alpha')).toMatchObject({ id: old.id });
      await retire(bench, 'alpha');
    }
    const anew = await bench.api('POST', '/api/claims', { name: 'gamma (retired)', site: 'Hall 3' });
    expect(code(anew.body)).toBe('request-malformed');
  });
});

describe('a claim code', () => {
  it('replaces an unused one of the same name, which is said, and is listed until it is used', async () => {
    await using bench = await withServer();
    const make = () => bench.api('POST', '/api/claims', { name: 'delta', site: 'Hall 3' });
    const first = await make();
    expect(first.body).toMatchObject({ replaced: false });
    const second = await make();
    expect(second.body).toMatchObject({ replaced: true });
    expect((await bench.api('GET', '/api/claims')).body).toMatchObject({
      claims: [{ name: 'delta', site: 'Hall 3', again: false }],
    });
    const textOf = (body: unknown) => z.object({ claim: z.string() }).parse(body).claim;
    expect((await (await bench.client()).enrol(textOf(first.body))).status).not.toBe(200);
    await (await bench.client()).enrolled(textOf(second.body));
    expect((await bench.api('GET', '/api/claims')).body).toEqual({ claims: [] });
  });
});

describe('a name', () => {
  it('is claimed again by the appliance that has it, and by no other', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    client.keys.agent = generateKeyPair();
    const refused = await bench.api('POST', '/api/claims', { name: 'alpha', site: 'Hall 3' });
    expect([refused.status, refused.body]).toEqual([
      409,
      expect.objectContaining({ code: 'name-taken', next: expect.stringContaining('--again') }),
    ]);
    const text = await claimAgain(bench, 'ALPHA');
    expect(code((await (await bench.client()).enrol(text)).body)).toBe('claim-for-another');
    expect(await client.enrolled(text)).toMatchObject({ name: 'alpha', site: 'Hall 3' });
    expect((await client.tryCheckIn('agent')).status).toBe(200);
    expect(code((await bench.api('POST', '/api/claims', { name: 'nobody', again: true })).body)).toBe(
      'appliance-unknown',
    );
    expect(code((await bench.api('POST', '/api/claims', { name: 'delta' })).body)).toBe('request-malformed');
  });

  it('that was given since a code for that very appliance was made stays, and so does the site', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    const made = await bench.api('POST', '/api/claims', { name: 'alpha', again: true, site: 'Elsewhere' });
    expect(made.body).toMatchObject({ name: 'alpha', site: 'Hall 3' });
    expect((await rename(bench, 'alpha', { name: 'gamma', site: 'Quay' })).status).toBe(200);
    // Its former name is another one's by now: no reason to refuse what is not about names.
    await bench.appliance('beta');
    expect((await rename(bench, 'beta', { name: 'alpha' })).status).toBe(200);
    const { claim } = z.object({ claim: z.string() }).parse(made.body);
    expect(await client.enrolled(claim)).toMatchObject({ appliance: client.id, name: 'gamma', site: 'Quay' });
    expect(await bench.show('gamma')).toMatchObject({ id: client.id, site: 'Quay' });
  });

  it('is changed, at its site or another one, and the former one is free', async () => {
    await using bench = await withServer();
    const client = await bench.appliance('alpha');
    await bench.appliance('beta');
    expect((await rename(bench, 'alpha', { name: 'gamma' })).body).toMatchObject({ name: 'gamma', site: 'Hall 3' });
    expect((await rename(bench, 'gamma', { name: 'Gamma', site: 'Quay' })).body).toMatchObject({
      name: 'Gamma',
      site: 'Quay',
    });
    for (const name of ['beta', 'BETA']) expect(code((await rename(bench, 'Gamma', { name })).body)).toBe('name-taken');
    expect(code((await rename(bench, 'Gamma', { name: 'x/y' })).body)).toBe('request-malformed');
    expect((await client.tryCheckIn('updater')).status).toBe(200);
    expect((await bench.appliance('alpha')).id).not.toBe(client.id);
    await retire(bench, 'Gamma');
    expect(code((await rename(bench, 'Gamma', { name: 'delta' })).body)).toBe('appliance-retired');
  });

  it.each([
    ['decomposed', 'Werk Ko\u0308ln'.normalize('NFD'), 'Werk Köln'],
    ['Thai', 'ท่าเรือ ๑', 'ท่าเรือ ๑'],
    ['Devanagari', 'दिल्ली', 'दिल्ली'],
    ['Vietnamese', 'Nhà máy Hải Phòng'.normalize('NFD'), 'Nhà máy Hải Phòng'],
  ])('is one, however it is typed (%s)', async (_, typed, kept) => {
    await using bench = await withServer();
    const client = await bench.client();
    await client.enrolled(await bench.claim(typed, typed));
    for (const form of [kept, kept.normalize('NFD'), ` ${kept.toLowerCase()} `, kept.toUpperCase()])
      expect(await bench.show(form)).toMatchObject({
        id: client.id,
        name: kept.normalize('NFC'),
        site: kept.normalize('NFC'),
      });
    for (const name of [typed, kept.normalize('NFD'), kept.toUpperCase()])
      expect(code((await bench.api('POST', '/api/claims', { name, site: 'x' })).body)).toBe('name-taken');
    expect(await bench.sendOrder(kept.normalize('NFD'), 'run-checks')).toMatchObject({ name: kept });
  });

  it.each([
    ['begins with a mark', '\u0301alpha'],
    ['is a pile of marks', `a${'\u0301'.repeat(20)}`],
    ['has what is not seen', 'al\u200bpha'],
    ['has brackets', 'alpha (retired)'],
    ['is too long', 'x'.repeat(61)],
    ['is too long with its marks', 'ที่'.repeat(21)],
  ])('is refused that %s', async (_, name) => {
    await using bench = await withServer();
    expect(code((await bench.api('POST', '/api/claims', { name, site: 'x' })).body)).toBe('request-malformed');
  });
});
