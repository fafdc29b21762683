import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { revokeRelease } from '../../image/repository.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { rolloutFleet, works } from '../support/rollout-fleet.ts';

const idShape = z.object({ id: z.number() });

/** Ended rollouts of the app, more than a check-in looks at. */
const manyEnds = 17;

/** An updater 2.0.0 that alpha has proven, and that the appliance late was offered; then many rollouts of the app. */
async function updaterLongAgo() {
  const fleet = await rolloutFleet(['alpha', 'late'], ['1.0.52']);
  const { bench, get } = fleet;
  const manifest = await bench.publish('2.0.0', 'updater');
  const asked = { version: '2.0.0', component: 'updater', canaries: ['alpha'] };
  const { id } = idShape.parse((await bench.api('POST', '/api/rollouts', asked)).body);
  const has = async (client: ApplianceClient, updater: string, app = '1.0.49') => {
    client.have = { app: { version: app, slot: '0' }, updater: { version: updater, slot: '0' } };
    await works(client);
    await works(client);
  };
  await has(get('alpha'), '2.0.0');
  await has(get('late'), '1.0.0', '1.0.52');
  bench.clock.aheadMs += 60_000;
  expect(await bench.rollout(id)).toMatchObject({ state: 'finished' });
  await has(get('alpha'), '2.0.0', '1.0.52');
  for (let n = 0; n < manyEnds; n += 1) {
    const app = await bench.rollOut('1.0.52', ['alpha']);
    await works(get('alpha'));
    expect(await bench.rollout(app.id)).toMatchObject({ state: 'finished' });
  }
  return { ...fleet, id, updaterManifest: manifest, has };
}

describe('a finished rollout', () => {
  it('is offered to whoever comes late, however many of another component ended since', async () => {
    const { bench, has } = await updaterLongAgo();
    await using _ = bench;
    const newcomer = await bench.appliance('newcomer');
    await has(newcomer, '1.0.0', '1.0.52');
    expect((await newcomer.checkIn('updater')).desired?.release).toMatchObject({
      component: 'updater',
      version: '2.0.0',
    });
  });

  it('is stopped by one that fails late, and so is each of the same release', async () => {
    const { bench, get, id, updaterManifest, report } = await updaterLongAgo();
    await using _ = bench;
    const late = get('late');
    const release = {
      tx: 2,
      component: 'updater' as const,
      manifest: updaterManifest,
      version: '2.0.0',
      from: '1.0.0',
      reason: 'crash-loop',
    };
    const crashed = late.event('updater', { kind: 'release-rolled-back', text: 'it crashed', release });
    await late.checkIn('updater', { events: [crashed], quarantine: [updaterManifest] });
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', reason: 'late: it crashed' });
    await report('alpha', '1.0.52');
    for (let n = 1; n <= manyEnds; n += 1) expect(await bench.rollout(id + n)).toMatchObject({ state: 'paused' });
    const newcomer = await bench.appliance('newcomer');
    expect((await newcomer.checkIn('updater')).desired?.release).toBeNull();
  });

  it('fails with its release, however long ago it ended', async () => {
    const { bench, id } = await updaterLongAgo();
    await using _ = bench;
    await revokeRelease(await bench.repository(), 'app', '1.0.52');
    await bench.publish('1.0.53');
    for (let n = 1; n <= manyEnds; n += 1) expect(await bench.rollout(id + n)).toMatchObject({ state: 'failed' });
    expect(await bench.rollout(id)).toMatchObject({ state: 'finished' });
  });
});

describe('a failure while an operator holds a rollout', () => {
  it('is in its reason, its history, and the answer to its resume', async () => {
    const { bench, offered, runs, report, change } = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await runs('alpha', '1.0.52');
    expect(await offered('beta')).toBe('1.0.52');
    await change(id, 'pause', 'one');
    await report('beta', '1.0.52');
    const said = 'beta: 1.0.52 was rolled back (crash-loop)';
    const view = await bench.rollout(id);
    expect(view).toMatchObject({ state: 'paused', reason: `one; then ${said}`, sentence: `Paused: one; then ${said}` });
    expect(view.changes.map(({ reason }) => reason)).toEqual(['one', said]);
    expect((await change(id, 'resume')).body).toMatchObject({
      sentence: '1 of 2 appliances have proven it, and it failed on 1 (beta).',
      failed: [{ name: 'beta' }],
    });
  });

  it('keeps why it stopped first, however much is said of it', async () => {
    const { bench, offered, report, change } = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha', 'beta']);
    for (const name of ['alpha', 'beta']) await offered(name);
    const why = 'x'.repeat(200);
    await change(id, 'pause', why);
    await report('alpha', '1.0.52', 'y'.repeat(60));
    await report('beta', '1.0.52');
    const { reason, changes } = await bench.rollout(id);
    expect(reason.startsWith(`${why}; then alpha: `)).toBe(true);
    expect(reason.length).toBeLessThanOrEqual(300);
    expect(changes.at(-1)?.reason).toBe('beta: 1.0.52 was rolled back (crash-loop)');
  });
});

describe('the canaries of a new rollout', () => {
  it('are none that is retired, and each once', async () => {
    const { bench } = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using _ = bench;
    expect((await bench.rollOut('1.0.52', ['beta', 'beta', 'BETA'])).canaries).toEqual(['beta']);
    await bench.api('POST', '/api/appliances/alpha/retire');
    const refused = await bench.api('POST', '/api/rollouts', { version: '1.0.52', canaries: ['beta', 'alpha'] });
    expect([refused.status, refused.body]).toEqual([
      410,
      {
        code: 'appliance-retired',
        message: 'alpha (retired) is retired, and can prove nothing',
        next: 'name another one with --canary, or none, so that one is chosen',
      },
    ]);
  });
});
