import { expect, it } from 'vitest';
import { ApplianceClient } from '../support/appliance-client.ts';
import { halfProven } from '../support/rollout-fleet.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { serve } from './server-process.ts';

/** An updater that was not heard for longer than 10 s is silent, at this pace. */
const frozenMs = 12_000;

it('counts no time in which the server itself was stopped as the silence of an appliance', async () => {
  const { bench, get } = await halfProven();
  await using _ = bench;
  await bench.stop();
  const { child, line } = await serve(bench.data);
  const at = ({ answerKeys, keys, seq, have, row }: ApplianceClient) =>
    Object.assign(new ApplianceClient(line.url, answerKeys), { keys, seq, have, row });
  const [beta, gamma] = [at(get('beta')), at(get('gamma'))];
  const reasons = async () => (await gamma.checkIn('updater')).desired?.reasons;
  const awaitsBeta = ['app 1.0.52 waits until its canary beta has proven it'];
  await beta.checkIn('updater');
  expect(await reasons()).toEqual(awaitsBeta);
  child.kill('SIGSTOP');
  const frozenAtMs = performance.now();
  await until('the server is frozen for long enough', patienceMs, () =>
    performance.now() - frozenAtMs > frozenMs ? true : null,
  );
  child.kill('SIGCONT');
  expect(await reasons()).toEqual(awaitsBeta);
  // And what is silent while it runs still is.
  await until('beta is silent', patienceMs, async () => ((await reasons())?.[0] === awaitsBeta[0] ? null : true));
  expect(await reasons()).toEqual(['app 1.0.52 is offered to it']);
  child.kill('SIGTERM');
  await child;
});
