import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { rows, type StateBody } from '../../../protocol/state-record.ts';
import { publicKeyOf } from '../../../protocol/trust/ed25519.ts';
import { type Appliance, freshMemory, type RunMemory } from '../../../updater/appliance/appliance.ts';
import { next } from '../../../updater/machine/table.ts';
import { reportToServer } from '../../../updater/status/report.ts';
import { AnsweringAgent, nonceOf } from '../support/answering-agent.ts';
import { AnsweringServer, type PlannedAnswer } from '../support/answering-server.ts';
import { events, stateIn, updaterUpdate } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { judgeTrial } from '../support/told-steps.ts';

const boot = '00000000-0000-4000-8000-000000000001';
const version = '1.0.52';
const start = sha256(nonceOf('a'));

let machine: ReturnType<typeof testAppliance>;
let appliance: Appliance;
let memory: RunMemory;
let agent: AnsweringAgent;
let server: AnsweringServer;

/** 1.0.52 is started, and a server answers that has seen nothing. */
beforeEach(async () => {
  const layout = temporaryAppliance();
  machine = testAppliance(layout);
  server = await new AnsweringServer(publicKeyOf(machine.appliance.key)).start();
  server.plan = [server.answer({ nextInS: 1 })];
  const identity = { ...machine.appliance.identity, url: server.url, answerKeys: [server.key.publicKey] };
  const settings = { ...machine.appliance.settings, sampleMs: 1_000 };
  appliance = { ...machine.appliance, identity, settings };
  memory = freshMemory(true);
  agent = new AnsweringAgent(layout, version);
  agent.launched(nonceOf('a'), [boot]);
  agent.answers = () => ({ progress: Math.floor(machine.clock.nowMs / 500) });
  await agent.listen();
});

async function reported(state: StateBody): Promise<void> {
  memory.forced = true;
  await reportToServer(appliance, state, memory, { fresh: true });
}

const namedInLast = () => server.requests.at(-1)?.awaited;

describe('the start that the updater names as the one it waits for', () => {
  it('is the newest one of the version on trial, in each check-in of the judge', async () => {
    const state = stateIn('trial');
    const after = next(state, await judgeTrial(appliance, state, memory));
    const ofFirst = server.requests.length;
    agent.launched(nonceOf('b'), [boot, boot]);
    memory.forced = true;
    await judgeTrial(appliance, after, memory);
    const named = server.requests.map(({ awaited }) => awaited);
    expect(ofFirst).toBeGreaterThan(0);
    expect(named.length).toBeGreaterThan(ofFirst);
    expect(named.slice(0, ofFirst)).toEqual(Array.from({ length: ofFirst }, () => ({ start, version })));
    expect(named.at(-1)).toEqual({ start: sha256(nonceOf('b')), version });
  });

  it.each(rows)('is there in the row %s only where that is a trial', async (row) => {
    await reported(stateIn(row));
    expect(namedInLast()).toEqual(row === 'trial' ? { start, version } : undefined);
  });

  it('is none where an updater is on trial', async () => {
    const ways = [updaterUpdate.take, events.resolved, events.fetched, events.written, events.probed, events.started];
    const state = ways.reduce(next, updaterUpdate.closed);
    expect([state.row, state.trial?.component]).toEqual(['trial', 'updater']);
    await reported(state);
    expect(server.requests).toHaveLength(1);
    expect(namedInLast()).toBeUndefined();
  });
});

describe("the server's word on starts", () => {
  const word = (checkIns: number) => ({ version, checkIns });
  const others = (of: number): PlannedAnswer => {
    const seen = Object.fromEntries([1, 2, 3, 4].map((n) => [sha256(`${of}.${n}`), word(1)]));
    return server.answer({ nextInS: 1, seen });
  };

  it('is remembered of the one that is waited for, and does not grow with others', async () => {
    server.plan = [server.answer({ nextInS: 1, seen: { [start]: word(2) } })];
    await reported(stateIn('trial'));
    for (const of of [1, 2, 3, 4, 5, 6]) {
      server.plan = [others(of)];
      await reported(stateIn('trial'));
    }
    expect(memory.seen[start]).toEqual(word(2));
    expect(Object.keys(memory.seen)).toHaveLength(5);
  });

  it('is the newest one', async () => {
    for (const checkIns of [1, 2]) {
      server.plan = [server.answer({ nextInS: 1, seen: { [start]: word(checkIns) } })];
      await reported(stateIn('trial'));
    }
    expect(memory.seen).toEqual({ [start]: word(2) });
  });
});
