import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withFleet(names: readonly string[], versions: readonly string[]) {
  const bench = await TestServer.start();
  const manifests: Record<string, string> = {};
  for (const version of versions) manifests[version] = await bench.publish(version);
  const clients: ApplianceClient[] = [];
  for (const name of names) {
    const client = await bench.appliance(name);
    await client.checkIn('updater');
    await client.checkIn('agent');
    clients.push(client);
  }
  return { bench, clients, manifests };
}

const desired = async (client: ApplianceClient | undefined, changes: object = {}) =>
  (await client?.checkIn('updater', changes))?.desired;
const version = async (client: ApplianceClient | undefined) => (await desired(client))?.release?.version ?? null;

async function prove(client: ApplianceClient | undefined, on: string) {
  if (client === undefined) throw new Error('no client');
  client.have = { app: { version: on, slot: '1' } };
  for (let i = 0; i < 2; i += 1) {
    await client.checkIn('updater');
    await client.checkIn('agent');
  }
}

function rolledBack(client: ApplianceClient, manifest: string, reason: string, text: string) {
  const release = { tx: 2, component: 'app' as const, manifest, version: '1.0.53', from: '1.0.52', reason };
  return client.checkIn('updater', {
    events: [client.event('updater', { kind: 'release-rolled-back', text, release })],
  });
}

describe('a rollout', () => {
  it('offers a release with its manifest to the named canary, and holds everyone else with the reason', async () => {
    const { bench, clients, manifests } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    await bench.rollOut('1.0.52', ['beta']);
    expect((await desired(clients[1]))?.release).toEqual({
      component: 'app',
      version: '1.0.52',
      manifest: manifests['1.0.52'],
    });
    expect(await desired(clients[0])).toMatchObject({
      release: null,
      reasons: ['app 1.0.52 waits until its canary beta has proven it'],
    });
  });

  it('opens for everyone when the canary has committed it, is healthy, and has checked in a second time', async () => {
    const { bench, clients } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    const [alpha, beta] = clients;
    if (beta === undefined) throw new Error('no beta');
    beta.have = { app: { version: '1.0.52', slot: '1' } };
    await beta.checkIn('updater', { health: { status: 'ok', row: 'trial' } });
    await beta.checkIn('updater', { health: { status: 'ok', row: 'trial' } });
    expect(await version(alpha)).toBeNull();
    await beta.checkIn('updater');
    expect(await version(alpha)).toBeNull();
    await beta.checkIn('updater');
    // What the agent said last, the one of before said.
    expect(await version(alpha)).toBeNull();
    await beta.checkIn('agent');
    expect(await version(alpha)).toBe('1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ stage: 'everyone', proven: ['beta'] });
    await prove(alpha, '1.0.52');
    expect((await bench.rollout(id)).stage).toBe('done');
  });

  it('sends the very version once more to an appliance that lost it, and that alone', async () => {
    const { bench, clients, manifests } = await withFleet(['alpha', 'beta'], ['1.0.52', '1.0.54']);
    await using _ = bench;
    await bench.rollOut('1.0.52', ['beta']);
    const [alpha, beta] = clients;
    await prove(beta, '1.0.52');
    await prove(alpha, '1.0.52');
    const safe = { health: { status: 'fail' as const, row: 'safe', agentAlive: false } };
    expect(await desired(alpha, safe)).toMatchObject({
      release: { version: '1.0.52', manifest: manifests['1.0.52'] },
      reasons: ['it had app 1.0.52 and is in safe mode: it is sent again', 'app 1.0.52 is offered to it'],
    });
    expect(await desired(beta)).toMatchObject({ release: null });
    await bench.api('POST', '/api/appliances/beta/assign', { version: '1.0.52' });
    expect((await desired(beta, safe))?.reasons).toContain(
      'app 1.0.52 is assigned to it, and is in safe mode: it is sent again',
    );
    // What runs is newer: an older one is no repair.
    if (alpha !== undefined) alpha.have = { app: { version: '1.0.54', slot: '1' } };
    expect(await desired(alpha, safe)).toMatchObject({ release: null });
  });

  it.each([
    [
      'its updater does not know whether the agent works',
      'updater',
      { status: 'unknown', row: 'idle', agentAlive: true },
    ],
    ['its agent does not know how it is', 'agent', { status: 'unknown' }],
    ['its agent hangs', 'updater', { status: 'fail', row: 'idle', agentAlive: true }],
  ] as const)('does not open for everyone while of the canary is said: %s', async (_what, role, health) => {
    const { bench, clients } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    await bench.rollOut('1.0.52', ['beta']);
    const [alpha, beta] = clients;
    await prove(beta, '1.0.52');
    expect(await version(alpha)).toBe('1.0.52');
    await beta?.checkIn(role, { health });
    expect(await version(alpha)).toBeNull();
    await beta?.checkIn(role);
    expect(await version(alpha)).toBe('1.0.52');
  });

  it('is not proven by a canary that had it before and crashes again and again, though it works in between', async () => {
    const { bench, clients } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    const [alpha, beta] = clients;
    if (beta === undefined) throw new Error('no beta');
    beta.have = { app: { version: '1.0.52', slot: 'factory' } };
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    const crashing = { health: { status: 'ok' as const, row: 'idle', agentAlive: true, verdict: 'blocked' } };
    for (let i = 0; i < 4; i += 1) {
      await beta.checkIn('updater', crashing);
      await beta.checkIn('agent');
    }
    expect(await version(alpha)).toBeNull();
    expect(await bench.rollout(id)).toMatchObject({
      state: 'running',
      sentence: expect.stringContaining('waits: its canary beta has it, and is not healthy now'),
    });
    await prove(beta, '1.0.52');
    expect(await version(alpha)).toBe('1.0.52');
  });

  it('S19: has at least one canary in a fleet of any size, the same one each time', async () => {
    const { bench, clients } = await withFleet(['alpha', 'beta', 'gamma'], ['1.0.52', '1.0.53']);
    await using _ = bench;
    const first = clients.map((client) => client.id).sort((a, b) => (sha256(a) < sha256(b) ? -1 : 1))[0];
    const names = new Map(clients.map((client, index) => [client.id, ['alpha', 'beta', 'gamma'][index]]));
    expect((await bench.rollOut('1.0.52')).canaries).toEqual([names.get(first ?? '')]);
    expect((await bench.rollOut('1.0.53')).canaries).toEqual([names.get(first ?? '')]);
    const offered = await Promise.all(clients.map(version));
    expect(offered.filter((one) => one !== null)).toEqual(['1.0.53']);
  });

  it('does not open for everyone while its only canary is off: nobody has proven it', async () => {
    const { bench, clients } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    await bench.rollOut('1.0.52', ['beta']);
    bench.clock.aheadMs += 3_600_000;
    const answer = await desired(clients[0]);
    expect(answer?.reasons).toEqual([
      'app 1.0.52 waits until its canary beta has proven it, but the updater there does not check in',
    ]);
  });

  it('S60: the newest rollout that is open to an appliance wins, and an older one does not block it', async () => {
    const { bench, clients } = await withFleet(['alpha'], ['1.0.52', '1.0.53', '1.0.54']);
    await using _ = bench;
    for (const each of ['1.0.52', '1.0.53', '1.0.54']) await bench.rollOut(each, ['alpha']);
    expect(await version(clients[0])).toBe('1.0.54');
  });

  it('S59: does not take 1.0.9 for newer than 1.0.10', async () => {
    const { bench, clients } = await withFleet(['alpha'], ['1.0.9']);
    await using _ = bench;
    await bench.rollOut('1.0.9', ['alpha']);
    expect(await desired(clients[0])).toMatchObject({
      release: null,
      reasons: ['it has app 1.0.49, which is newer than 1.0.9'],
    });
  });

  it("pauses by itself when an appliance rolls its release back, with the appliance's sentence, for all", async () => {
    const { bench, clients, manifests } = await withFleet(['alpha', 'beta'], ['1.0.52', '1.0.53']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.53', ['alpha', 'beta']);
    const [alpha, beta] = clients;
    if (alpha === undefined) throw new Error('no alpha');
    expect(await version(alpha)).toBe('1.0.53');
    const text = '1.0.53 was rolled back: its progress stood still (stalled). 1.0.52 runs again.';
    await rolledBack(alpha, manifests['1.0.53'] ?? '', 'stalled', text);
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', reason: `alpha: ${text}` });
    const reasons = [`the rollout of app 1.0.53 is paused: alpha: ${text.slice(0, -1)}`];
    expect(await desired(beta)).toMatchObject({ release: null, reasons });
    expect((await bench.show('beta')).reasons).toEqual(reasons);
  });

  it('stays paused for what was said before, and goes on when an operator resumes it', async () => {
    const { bench, clients, manifests } = await withFleet(['alpha', 'beta'], ['1.0.53']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.53', ['alpha', 'beta']);
    const [alpha, beta] = clients;
    if (alpha === undefined) throw new Error('no alpha');
    const quarantine = [manifests['1.0.53'] ?? ''];
    expect(await version(alpha)).toBe('1.0.53');
    await rolledBack(alpha, quarantine[0] ?? '', 'stalled', 'it stalled');
    await bench.api('POST', `/api/rollouts/${id}/resume`);
    expect(await version(beta)).toBe('1.0.53');
    expect(await desired(alpha, { quarantine })).toMatchObject({
      release: null,
      reasons: ['app 1.0.53 is in quarantine here: it was tried and did not prove itself'],
    });
  });

  it.each([
    ['by-hand', 'a person went back from it'],
    ['inconclusive', 'its trial could not be judged'],
    ['stalled', 'it was tried and did not prove itself'],
  ])('says of a release that was rolled back (%s) that %s', async (reason, why) => {
    const { bench, clients, manifests } = await withFleet(['alpha'], ['1.0.53']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.53', ['alpha']);
    const [alpha] = clients;
    if (alpha === undefined) throw new Error('no alpha');
    expect(await version(alpha)).toBe('1.0.53');
    const quarantine = [manifests['1.0.53'] ?? ''];
    await rolledBack(alpha, quarantine[0] ?? '', reason, 'it went back');
    await bench.api('POST', `/api/rollouts/${id}/resume`);
    const reasons = [`app 1.0.53 is in quarantine here: ${why}`];
    expect((await desired(alpha, { quarantine }))?.reasons).toContain(reasons[0]);
    const view = await bench.show('alpha');
    expect(view.reasons).toContain(reasons[0]);
    expect(view.quarantined).toEqual([{ manifest: quarantine[0], release: 'app 1.0.53' }]);
  });

  it.each([
    ['release-rolled-back', 'by-hand', 'running'],
    ['release-rolled-back', 'inconclusive', 'running'],
    ['release-refused', 'no-space', 'running'],
    ['release-refused', 'tuf-expired', 'running'],
    ['release-refused', 'bad-chunk', 'paused'],
    ['release-refused', 'tuf-threshold', 'paused'],
  ] as const)('after %s for %s it is %s', async (kind, reason, state) => {
    const { bench, clients, manifests } = await withFleet(['alpha'], ['1.0.53']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.53', ['alpha']);
    expect(await version(clients[0])).toBe('1.0.53');
    const manifest = manifests['1.0.53'] ?? '';
    const release = { tx: 1, component: 'app' as const, manifest, version: '1.0.53', from: '1.0.49', reason };
    await clients[0]?.checkIn('updater', {
      events: [clients[0].event('updater', { kind, text: 'so it was', release })],
    });
    expect((await bench.rollout(id)).state).toBe(state);
  });

  it('names an appliance whose updater is silent, and what is ready for it, while its agent goes on', async () => {
    const { bench, clients } = await withFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    await bench.rollOut('1.0.52', ['alpha', 'beta']);
    bench.clock.aheadMs += 60_000;
    await clients[1]?.checkIn('agent');
    const view = await bench.show('beta');
    expect([view.state, view.sentence]).toEqual([
      'blocked',
      'On 1.0.49, and its updater does not check in; 1.0.52 cannot reach it',
    ]);
    // What its sentence says is not said again.
    expect(view.why).toBe('App 1.0.52 is ready for it.');
    expect(view.reasons).toContain('its updater does not check in (not for 60 s), so nothing can be installed');
  });

  it('refuses to start with a release that is not published, or for nobody', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const start = async (version: string) => code((await bench.api('POST', '/api/rollouts', { version })).body);
    expect(await start('1.0.53')).toBe('release-unknown');
    expect(await start('1.0.52')).toBe('fleet-empty');
  });

  it('gives an appliance its updater component when there is no app to give', async () => {
    const { bench, clients } = await withFleet(['alpha'], ['1.0.49']);
    await using _ = bench;
    await bench.publish('2.0.0', 'updater');
    await bench.api('POST', '/api/rollouts', { component: 'updater', version: '2.0.0', canaries: ['alpha'] });
    expect((await desired(clients[0]))?.release).toMatchObject({ component: 'updater', version: '2.0.0' });
  });
});
