import { afterEach, beforeEach, expect, it } from 'vitest';
import { LockHolder } from '../support/lock-holder.ts';
import { TestAppliance, until } from './agent-process.ts';

let appliance: TestAppliance;
beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});
afterEach(() => appliance.end());

it.each(['stateDb', 'outboxDb'] as const)(
  'says that %s refuses while another process holds it, and goes on afterwards',
  async (store) => {
    const run = appliance.run();
    await until('a reading', async () => ((await appliance.health())?.progress ?? 0) > 0);
    await using holder = await LockHolder.on(appliance.layout[store]);
    // Each answer comes within the agent's own bound for one, though each reading meets the lock.
    await until('the reading that failed', async () => (await appliance.health())?.checks.readings === 'fail');
    for (let i = 0; i < 3; i += 1) expect((await appliance.health())?.checks.readings).toBe('fail');
    await holder.letGo();
    await until('a reading again', async () => (await appliance.health())?.checks.readings === 'ok');
    expect(run.ended).toBeNull();
  },
);
