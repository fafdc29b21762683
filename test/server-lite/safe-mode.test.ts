import { describe, expect, it } from 'vitest';
import { TestServer } from '../support/test-server.ts';

/** Of safe mode the server knows what the updater says of it, and claims nothing else. */
describe('an appliance in safe mode', () => {
  it.each([
    [
      'in the words of its updater',
      { why: 'Safe mode: the files of 1.0.49 are damaged. No agent runs, because the factory agent is damaged too.' },
      'Safe mode: the files of 1.0.49 are damaged. No agent runs, because the factory agent is damaged too.',
    ],
    [
      'in the words of an updater that stands by',
      { why: 'The state record has schema 7.' },
      'Safe mode: the state record has schema 7.',
    ],
    [
      'whose updater gives no reason, and no agent runs',
      { agentAlive: false },
      'Safe mode: its version cannot be started; no agent runs',
    ],
    [
      'whose updater gives no reason, and an agent runs',
      { agentAlive: true },
      'Safe mode: its version cannot be started; an agent runs in its place',
    ],
    [
      'whose updater says nothing of it',
      {},
      'Safe mode: its version cannot be started; whether an agent runs is not known',
    ],
  ])('is shown %s', async (_what, said, sentence) => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const alpha = await bench.appliance('alpha');
    await alpha.checkIn('updater', { health: { status: 'fail', row: 'safe', ...said } });
    expect(await bench.show('alpha')).toMatchObject({ state: 'attention', sentence });
  });
});
