import { describe, expect, it } from 'vitest';
import { revokeRelease } from '../../image/repository.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

async function withAlpha() {
  const bench = await TestServer.start([], { openToThisHost: true });
  const manifest = await bench.publish('1.0.53');
  const alpha = await bench.appliance('alpha');
  for (const role of ['updater', 'agent'] as const) await alpha.checkIn(role);
  let tx = 0;
  const tell = (kind: 'note' | 'release-refused' | 'release-rolled-back' | 'release-committed', reason?: string) => {
    tx += 1;
    const release = { tx, component: 'app' as const, manifest, version: '1.0.53', from: '1.0.49' };
    const text = `so it was, time ${tx}`;
    const event = alpha.event('updater', {
      kind,
      text,
      release: { ...release, ...(reason === undefined ? {} : { reason }) },
    });
    return alpha.checkIn('updater', { events: [event] });
  };
  return { bench, alpha, tell };
}
const alert = async (bench: TestServer) => (await bench.show('alpha')).alert;
const healthy = async (client: ApplianceClient) => {
  for (const role of ['updater', 'agent'] as const) await client.checkIn(role);
};

describe('S31: a release that was tried and never succeeded', () => {
  it.each([
    ['note', 'no-space'],
    ['release-refused', 'bad-chunk'],
    ['release-rolled-back', 'stalled'],
  ] as const)('is an alert after the third try that ended in %s (%s)', async (kind, reason) => {
    const { bench, alpha, tell } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 2; i += 1) await tell(kind, reason);
    await healthy(alpha);
    expect(await bench.show('alpha')).toMatchObject({ alert: null, state: 'ok' });
    await tell(kind, reason);
    await healthy(alpha);
    const text = `app 1.0.53 was tried 3 times and never succeeded (${reason}): so it was, time 3`;
    expect(await bench.show('alpha')).toMatchObject({
      alert: text,
      state: 'attention',
      sentence: `On 1.0.49; ${text}`,
    });
    expect(await (await fetch(`${bench.url}/`)).text()).toContain(text);
  });

  it.each(['floor', 'incompatible'])('is an alert at once where trying again cannot help: %s', async (reason) => {
    const { bench, tell } = await withAlpha();
    await using _ = bench;
    await tell('release-refused', reason);
    expect(await alert(bench)).toContain(`was tried 1 time and never succeeded (${reason})`);
  });

  it('is told beside a state that is worse', async () => {
    const { bench, alpha, tell } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 3; i += 1) await tell('note', 'no-space');
    await alpha.checkIn('updater', { health: { status: 'fail', agentAlive: false, row: 'idle' } });
    const view = await bench.show('alpha');
    expect(view.sentence).toContain('is down');
    expect(await (await fetch(`${bench.url}/`)).text()).toContain(`<strong class="alert">${view.alert}</strong>`);
  });

  it('is none any more once something was committed, or when the release was withdrawn', async () => {
    const { bench, tell } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 3; i += 1) await tell('note', 'no-space');
    expect(await alert(bench)).not.toBeNull();
    await tell('release-committed');
    expect(await alert(bench)).toBeNull();
    for (let i = 0; i < 3; i += 1) await tell('note', 'no-space');
    await revokeRelease(await bench.repository(), 'app', '1.0.53');
    await bench.publish('1.0.54');
    expect(await alert(bench)).toBeNull();
  });

  it('does not count notes of other things, nor what its agent says', async () => {
    const { bench, alpha } = await withAlpha();
    await using _ = bench;
    for (let i = 0; i < 4; i += 1) {
      await alpha.checkIn('updater', { events: [alpha.event('updater', { kind: 'note', text: 'something' })] });
      await alpha.checkIn('agent', { events: [alpha.event('agent', { kind: 'note', text: 'something' })] });
    }
    expect(await alert(bench)).toBeNull();
  });
});
