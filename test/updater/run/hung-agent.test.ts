import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { statusShape } from '../../../protocol/status.ts';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { ProcessControlError } from '../../../updater/processes/process-control.ts';
import { ask } from '../../../updater/run/ask.ts';
import { whyOf } from '../../../updater/status/publish-status.ts';
import { AnsweringAgent, nonceOf } from '../support/answering-agent.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** 1.0.49 has been committed for days; process control says that it lives, and a run of the updater comes each minute. */
const minute = 60_000;
const state = idleState({ app: { ...idleState().app, previous: null } });

let layout: Layout;
let agent: AnsweringAgent;
let box: ReturnType<typeof testAppliance>;
beforeEach(async () => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.requests, layout.agentRun]) mkdirSync(path, { recursive: true });
  writeFileSync(layout.hint, '');
  box = testAppliance(layout);
  agent = new AnsweringAgent(layout, '1.0.49');
  agent.launched(nonceOf('a'), []);
  await agent.listen();
});

/** One run after each minute. */
async function runs(count: number, before: () => void = () => undefined): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    box.clock.nowMs += minute;
    before();
    expect(await ask(box.appliance, state, freshMemory(false))).toMatchObject({ kind: 'nothing' });
  }
}

const status = () => statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
const notes = () => box.appliance.events.next().map(({ text }) => text ?? '');

describe('a committed agent that lives', () => {
  it('is let alone while its work goes on, however slowly', async () => {
    let looks = 0;
    await runs(30, () => {
      looks += 1;
      agent.progress = Math.floor(looks / 2);
    });
    expect(box.processes.orders).toEqual([]);
    expect(status()).toMatchObject({
      verdict: { word: 'attention' },
      why: expect.stringMatching(/^1\.0\.49 runs and is healthy/),
    });
  });

  it('and answers while its work stands still is said to, then ended and started again, and the server is told', async () => {
    await runs(11);
    expect(box.processes.orders).toEqual([]);
    expect(status()).toMatchObject({
      verdict: { word: 'blocked' },
      why: expect.stringContaining('stood still for 9 min'),
    });
    await runs(1);
    expect(box.processes.orders).toEqual(['stop', 'start']);
    expect(notes()).toContainEqual(
      '1.0.49 runs and answers, but its work has stood still for 10 min: it is ended and started again',
    );
  });

  it('and does not answer is not called healthy at any time, and is ended too', async () => {
    agent.die();
    await runs(1);
    expect(status()).toMatchObject({ verdict: { word: 'unknown' }, why: expect.stringContaining('not known yet') });
    await runs(9);
    expect(status()).toMatchObject({
      verdict: { word: 'blocked' },
      why: expect.stringContaining('not answered for 9 min'),
    });
    await runs(1);
    expect(box.processes.orders).toEqual(['stop', 'start']);
  });

  it('is not believed what somebody else answers in its place', async () => {
    agent.answers = () => ({ nonce: nonceOf('b'), progress: box.clock.nowMs });
    await runs(11);
    expect(box.processes.orders).toEqual(['stop', 'start']);
  });

  it('has everything to show anew after it was started again, and is one burst more each time it hangs', async () => {
    let starts = 0;
    const startAgent = box.processes.startAgent.bind(box.processes);
    box.processes.startAgent = () => {
      starts += 1;
      agent.launched(nonceOf(String(starts)), []);
      return startAgent();
    };
    await runs(12);
    expect(starts).toBe(1);
    expect(whyOf(box.appliance, state, box.processes.facts, 0)).toMatch(/^1\.0\.49 runs and is healthy/);
    await runs(24);
    expect(starts).toBe(3);
    expect(notes()).toContainEqual(
      '1.0.49 hangs again and again. It stays, because there is no previous version to go back to',
    );
  });

  it('and was started just now is given a moment to answer, once', async () => {
    agent.die();
    let waits = 0;
    box.clock.delay = async (ms) => {
      waits += 1;
      box.clock.nowMs += ms;
      if (waits === 5) await agent.listen();
    };
    await runs(1);
    expect(waits).toBe(5);
    expect(status().why).toMatch(/^1\.0\.49 runs and is healthy/);
    agent.die();
    await runs(1);
    expect(waits).toBe(5);
    expect(status().verdict.word).toBe('unknown');
    agent.launched(nonceOf('b'), []);
    await runs(1);
    expect(waits).toBeGreaterThan(5);
    const atMost = waits;
    await runs(1);
    expect(waits).toBe(atMost);
  });

  it('and cannot be ended keeps no run from its end, and is tried again by the next', async () => {
    agent.die();
    await runs(10);
    const stop = box.processes.stopAgent.bind(box.processes);
    box.processes.stopAgent = () => {
      box.processes.orders.push('stop');
      return Promise.reject(new ProcessControlError('agent-not-gone', 'processes of the agent outlive their stop: 7'));
    };
    await runs(3);
    expect(box.processes.orders).toEqual(['stop', 'stop', 'stop']);
    expect(box.lines.filter((line) => line.includes('it does not end'))).toHaveLength(3);
    expect(notes()).toEqual([]);
    expect(status().verdict.word).toBe('blocked');
    box.processes.stopAgent = stop;
    await runs(1);
    expect(box.processes.orders).toEqual(['stop', 'stop', 'stop', 'stop', 'start']);
  });
});
