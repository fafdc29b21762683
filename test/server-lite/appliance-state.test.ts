import { describe, expect, it } from 'vitest';
import { beyond } from '../../server-lite/rules/words.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const crashText = '1.0.49 ended by itself (exit 1). It said last: out of memory';

function crashed(client: ApplianceClient, version: string) {
  const crash = { count: 1, exit: { code: 1, signal: null }, version, output: 'out of memory' };
  return client.checkIn('updater', {
    events: [client.event('updater', { kind: 'agent-crashed', text: crashText, crash })],
  });
}
async function withAlpha(version: string) {
  const bench = await TestServer.start();
  await bench.publish(version);
  const alpha = await bench.appliance('alpha', version);
  await alpha.checkIn('updater');
  await alpha.checkIn('agent');
  const updaterSays = (health: object) =>
    alpha.checkIn('updater', { health: { status: 'ok', row: 'idle', agentAlive: true, ...health } });
  const page = async () => (await fetch(`${bench.url}/`)).text();
  return { bench, alpha, updaterSays, page };
}
const times = (text: string, part: string) => text.split(part).length - 1;

describe('a crash of an agent', () => {
  it('is said of the version that crashed, and of no other one', async () => {
    const { bench, alpha, page } = await withAlpha('1.0.49');
    await using _ = bench;
    await crashed(alpha, '1.0.49');
    expect(await bench.show('alpha')).toMatchObject({
      state: 'attention',
      sentence: `Its agent 1.0.49 crashes: ${crashText}`,
    });
    alpha.have = { app: { version: '1.0.62', slot: '1' } };
    await alpha.checkIn('updater');
    await alpha.checkIn('agent');
    expect(await bench.show('alpha')).toMatchObject({ state: 'ok', sentence: '1.0.62 runs and is healthy' });
    await alpha.checkIn('updater', { health: { status: 'fail', row: 'idle', agentAlive: false } });
    expect(await bench.show('alpha')).toMatchObject({ state: 'attention', sentence: 'Its agent 1.0.62 is down' });
    // What it said is still there, under its own name.
    expect(await page()).toMatch(/last crash of 1\.0\.49, \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  });

  it('is over where the updater itself says that all is well', async () => {
    const { bench, alpha, updaterSays } = await withAlpha('1.0.49');
    await using _ = bench;
    await crashed(alpha, '1.0.49');
    await updaterSays({ verdict: 'ok', why: '1.0.49 runs and is healthy.' });
    expect((await bench.show('alpha')).state).toBe('ok');
  });
});

describe('the state of an appliance', () => {
  it('in an update is said once, in the words of the updater if it has some', async () => {
    const { bench, updaterSays } = await withAlpha('1.0.49');
    await using _ = bench;
    const why = '1.0.48 is on trial: healthy for 1 s of 10 s.';
    await updaterSays({ row: 'trial', verdict: 'trial', why });
    const { state, sentence, why: said } = await bench.show('alpha');
    expect([state, sentence, beyond(sentence, said)]).toEqual(['updating', why.replace(/\.$/, ''), '']);
    await updaterSays({ row: 'trial' });
    expect((await bench.show('alpha')).sentence).toBe('Another version is on trial; 1.0.49 is kept');
  });

  it.each([
    ['attention', '1.0.49 runs: 1.0.53 was rolled back, because its progress stood still (stalled).'],
    ['attention', 'No release can be verified: the root of trust is lost. 1.0.49 runs and is healthy.'],
    ['blocked', '1.0.49 crashed 3 times (last exit: 1).'],
    ['unknown', 'Whether 1.0.49 runs is not known: process control does not answer.'],
  ])('is attention where its updater says %s, in the words of the updater, once', async (verdict, why) => {
    const { bench, updaterSays, page } = await withAlpha('1.0.49');
    await using _ = bench;
    await updaterSays({ verdict, why });
    const view = await bench.show('alpha');
    expect([view.state, `${view.sentence}.`]).toEqual(['attention', why]);
    expect(times(await page(), why.slice(0, -1))).toBe(1);
    await updaterSays({ verdict: 'ok', why: '1.0.49 runs and is healthy.' });
    expect(await bench.show('alpha')).toMatchObject({ state: 'ok', sentence: '1.0.49 runs and is healthy' });
    expect(times(await page(), '1.0.49 runs and is healthy')).toBe(1);
  });

  it.each(['updater', 'agent'] as const)('is not ok while the status of its %s is not known', async (role) => {
    const { bench, alpha } = await withAlpha('1.0.49');
    await using _ = bench;
    await alpha.checkIn(role, { health: { status: 'unknown', ...(role === 'updater' ? { agentAlive: true } : {}) } });
    expect(await bench.show('alpha')).toMatchObject({
      state: 'attention',
      sentence: 'On 1.0.49; whether it works is not known',
    });
  });

  it('says once that a version runs, beside why it does', () => {
    const why = '1.0.49 runs: 1.0.53 was rolled back, because it stalled (stalled).';
    expect(beyond('1.0.49 runs and is healthy', why)).toBe('1.0.53 was rolled back, because it stalled (stalled).');
    expect(beyond('1.0.50 runs and is healthy', why)).toBe(why);
    expect(beyond(why, why)).toBe('');
  });

  it('is not known from what is old', async () => {
    const { bench, updaterSays } = await withAlpha('1.0.49');
    await using _ = bench;
    await updaterSays({ verdict: 'ok', why: '1.0.49 runs and is healthy.', checks: {} });
    bench.clock.aheadMs += 7 * 60_000;
    const view = await bench.show('alpha');
    expect(view).toMatchObject({ state: 'offline', row: null, agentAlive: null, checks: {} });
    expect(JSON.stringify([view.sentence, view.why])).not.toContain('healthy');
    // That nothing was heard of it is said once.
    expect([view.sentence, view.why].join(' ').match(/not heard from/g)).toHaveLength(1);
  });
});
