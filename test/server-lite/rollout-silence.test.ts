import { describe, expect, it } from 'vitest';
import { halfProven, rolloutFleet } from '../support/rollout-fleet.ts';

const awaitsBeta = ['app 1.0.52 waits until its canary beta has proven it'];
const ill = { health: { status: 'fail', row: 'idle', agentAlive: true } };

describe('a canary that is not heard', () => {
  it.each([12_000, 600_000])('for %i ms without a server is not silent: no stage opens by that', async (offMs) => {
    const { bench, get, reasons: told, id } = await halfProven();
    await using _ = bench;
    expect(await told('gamma')).toEqual(awaitsBeta);
    await bench.stop();
    bench.clock.aheadMs += offMs;
    await bench.run();
    const gamma = await bench.reconnected(get('gamma'));
    const reasons = async () => (await gamma.checkIn('updater')).desired?.reasons;
    expect(await bench.rollout(id)).toMatchObject({ state: 'running', stage: 'canary' });
    expect(await reasons()).toEqual(awaitsBeta);
    bench.clock.aheadMs += 60_000;
    expect(await reasons()).toEqual(['app 1.0.52 is offered to it']);
  });

  it.each([600_000, -600_000])('is silent by no clock that steps by %i ms, but by the time that passes', async (ms) => {
    const { bench, reasons, id } = await halfProven();
    await using _ = bench;
    bench.clock.wrongMs += ms;
    expect(await reasons('gamma')).toEqual(awaitsBeta);
    expect(await bench.rollout(id)).toMatchObject({ state: 'running', stage: 'canary' });
    bench.clock.aheadMs += 60_000;
    expect(await reasons('gamma')).toEqual(['app 1.0.52 is offered to it']);
  });

  it('and was ill holds the stage still, until it is known to be silent', async () => {
    const fleet = await rolloutFleet(['alpha', 'gamma'], ['1.0.52']);
    await using bench = fleet.bench;
    await bench.rollOut('1.0.52', ['alpha']);
    await fleet.runs('alpha', '1.0.52');
    await fleet.get('alpha').checkIn('updater', ill);
    const held = ['app 1.0.52 waits: its canary alpha has it, and is not healthy now'];
    bench.clock.wrongMs += 600_000;
    expect(await fleet.reasons('gamma')).toEqual(held);
    bench.clock.aheadMs += 60_000;
    expect(await fleet.reasons('gamma')).toEqual(['app 1.0.52 is offered to it']);
  });
});

describe('an appliance that is still expected', () => {
  it('stays expected over a restart: its rollout is finished only when it is known to be silent', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.runs('alpha', '1.0.52');
    await fleet.offered('beta');
    await bench.stop();
    bench.clock.aheadMs += 600_000;
    await bench.run();
    expect(await bench.rollout(id)).toMatchObject({
      state: 'running',
      stage: 'everyone',
      waiting: [{ name: 'beta', why: 'whether its updater checks in is not known yet' }],
    });
    bench.clock.aheadMs += 60_000;
    expect(await bench.rollout(id)).toMatchObject({
      state: 'finished',
      waiting: [{ name: 'beta', why: 'its updater does not check in' }],
    });
  });
});
