import { createServer, type Server } from 'node:http';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { HealthAnswer } from '../../../protocol/health.ts';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody, Transaction } from '../../../protocol/state-record.ts';
import { publicKeyOf } from '../../../protocol/trust/ed25519.ts';
import { type Appliance, freshMemory, type RunMemory } from '../../../updater/appliance/appliance.ts';
import { httpLimits } from '../../../updater/effects/http-request.ts';
import type { MachineEvent } from '../../../updater/machine/event.ts';
import { next } from '../../../updater/machine/table.ts';
import { startName } from '../../../updater/verdict/trial.ts';
import { soonerThan } from '../../support/sooner.ts';
import { AnsweringAgent, nonceOf } from '../support/answering-agent.ts';
import { AnsweringServer } from '../support/answering-server.ts';
import { statusOn } from '../support/record-appliance.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { judgeTrial } from '../support/told-steps.ts';

const boot = '00000000-0000-4000-8000-000000000001';
const settings = { sampleMs: 1_000, stallMs: 6_000, answerMs: 5_000, graceMs: 3_000 };
const trial: Transaction['trial'] = { healthyMs: 10_000, deadlineMs: 60_000, tries: 3 };

let layout: Layout;
let agent: AnsweringAgent;
let machine: ReturnType<typeof testAppliance>;
let appliance: Appliance;
let memory: RunMemory;

/** 1.0.52 is on trial, lives, works and answers; nobody reaches the server. */
beforeEach(async () => {
  layout = temporaryAppliance();
  machine = testAppliance(layout);
  appliance = { ...machine.appliance, settings: { ...machine.appliance.settings, ...settings } };
  memory = freshMemory(true);
  agent = new AnsweringAgent(layout, '1.0.52');
  agent.launched(nonceOf('a'), [boot]);
  works();
  await agent.listen();
});

/** Its work moves with the clock, not with the questions. */
function works(changes: () => Partial<HealthAnswer> = () => ({})): void {
  agent.answers = () => ({ progress: Math.floor(machine.clock.nowMs / 500), ...changes() });
}

function onTrial(changes: Partial<Transaction> = {}): StateBody {
  const state = stateIn('trial');
  if (state.transaction === null) throw new RangeError('no transaction');
  return { ...state, transaction: { ...state.transaction, trial, ...changes } };
}

/** The steps of the judge until its verdict, or until `enough`: each from the state that the one before left on disk. */
async function judged(from: StateBody, enough: (state: StateBody) => boolean = () => false) {
  let state = from;
  for (let step = 0; step < 100; step += 1) {
    const event: MachineEvent = await judgeTrial(appliance, state, memory);
    state = next(state, event);
    if (event.kind !== 'time-passed' || enough(state)) return { event, state };
  }
  throw new RangeError('no verdict');
}

const usedFor = (ms: number) => (state: StateBody) => (state.transaction?.usedMs ?? 0) >= ms;

/** A server whose word this appliance believes. */
async function serve(seen: () => { version: string; checkIns: number } | null): Promise<AnsweringServer> {
  const server = await new AnsweringServer(publicKeyOf(appliance.key)).start();
  const start = sha256(nonceOf('a'));
  const word = seen();
  server.plan = [server.answer({ nextInS: 1, seen: word === null ? {} : { [start]: word } })];
  const { publicKey } = server.key;
  appliance = { ...appliance, identity: { ...appliance.identity, url: server.url, answerKeys: [publicKey] } };
  return server;
}

describe('the judge', () => {
  it('passes a version that is healthy for its whole time', async () => {
    const { event, state } = await judged(onTrial());
    expect(event).toMatchObject({ kind: 'passed' });
    expect(state.row).toBe('committing');
  });

  it('puts healthy time on disk every two seconds, never less than before', async () => {
    let state = onTrial();
    const times: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      state = next(state, await judgeTrial(appliance, state, memory));
      times.push(state.transaction?.healthyMs ?? 0);
    }
    expect(times).toEqual([1_000, 3_000, 5_000, 7_000]);
    expect(state.transaction).toMatchObject({ usedMs: 8_000, start: startName(nonceOf('a')) });
  });

  it('that is killed goes on with the time that is left', async () => {
    const { state } = await judged(onTrial(), usedFor(8_000));
    memory = freshMemory(true);
    const before = machine.clock.nowMs;
    expect((await judged(state)).event.kind).toBe('passed');
    expect(machine.clock.nowMs - before).toBe(4_000);
  });

  it('that was killed gives the next start none of the time of the one before', async () => {
    const { state } = await judged(onTrial(), usedFor(8_000));
    memory = freshMemory(true);
    agent.launched(nonceOf('b'), [boot, boot]);
    const before = machine.clock.nowMs;
    const { event, state: after } = await judged(state);
    expect(event.kind).toBe('passed');
    expect(machine.clock.nowMs - before).toBe(11_000);
    expect(after.transaction?.start).toBe(startName(nonceOf('b')));
  });

  it('that is killed again and again passes nothing that stands still', async () => {
    works(() => ({ progress: 7 }));
    let state = onTrial();
    for (let kills = 0; kills < 20; kills += 1) {
      memory = freshMemory(true);
      state = next(state, await judgeTrial(appliance, state, memory));
    }
    expect(state.transaction).toMatchObject({ healthyMs: 0, usedMs: 40_000 });
  });

  it('counts at most two seconds that it did not see, or five looks', async () => {
    await judged(onTrial(), usedFor(4_000));
    machine.clock.nowMs += 3_600_000;
    const { state } = await judged(onTrial({ usedMs: 0 }), usedFor(0));
    expect(state.transaction?.usedMs).toBe(4_000 + 5_000);
  });

  it('says in why that nothing can be compared where nothing answered before the switch', async () => {
    await judged(onTrial({ baseline: null, baselineServer: 'unknown' }), usedFor(2_000));
    expect(statusOn(layout).why).toContain('Nothing answered before the switch, so no check is compared with before.');
    memory = freshMemory(true);
    await judged(onTrial(), usedFor(2_000));
    expect(statusOn(layout).why).not.toContain('Nothing answered');
  });

  it('names a regression by its check', async () => {
    works(() => ({ checks: { disk: 'fail' } }));
    expect((await judged(onTrial())).event).toEqual({
      kind: 'failed',
      reason: 'regression',
      text: 'worse than before the switch: disk',
    });
  });

  it('takes no answer with the nonce of another start', async () => {
    works(() => ({ nonce: nonceOf('b') }));
    expect((await judged(onTrial())).event).toMatchObject({ kind: 'failed', reason: 'no-answer' });
  });

  it('takes no answer that is larger than it may be', async () => {
    // Right in every other way.
    const padded = { padding: 'x'.repeat(70_000) };
    works(() => ({ server: 'ok', ...padded }));
    expect((await judged(onTrial())).event).toMatchObject({ kind: 'failed', reason: 'no-answer' });
  });
});

describe('a version that migrates for long', () => {
  const migrating = { progress: 1, state: { schema: 1, migrated: false } };

  it('may take the time that its release asks for, and pass after it', async () => {
    const beganMs = machine.clock.nowMs;
    works(() => (machine.clock.nowMs - beganMs < 100_000 ? migrating : {}));
    const { event, state } = await judged(onTrial({ trial: { ...trial, migrationMs: 120_000 } }));
    expect(event.kind).toBe('passed');
    expect(state.transaction?.migratingMs).toBeGreaterThan(90_000);
  });

  it('fails after that time, also when the judge is killed in between', async () => {
    works(() => migrating);
    const { state } = await judged(onTrial({ trial: { ...trial, migrationMs: 20_000 } }), usedFor(14_000));
    memory = freshMemory(true);
    const before = machine.clock.nowMs;
    expect((await judged(state)).event).toMatchObject({ kind: 'failed', reason: 'state-not-migrated' });
    expect(machine.clock.nowMs - before).toBe(6_000);
  });

  it('stands still where its release asks for no time', async () => {
    works(() => migrating);
    expect((await judged(onTrial())).event).toMatchObject({ kind: 'failed', reason: 'stalled' });
  });

  it('is seen in status with the time that is left', async () => {
    works(() => migrating);
    await judged(onTrial({ trial: { ...trial, migrationMs: 50_000 } }), usedFor(20_000));
    const { trial: shown } = statusOn(layout);
    expect(shown?.leftMs).toBeGreaterThan(55_000);
  });
});

describe('the server in a trial', () => {
  const known = { baselineServer: 'ok' } as const;

  it('vouches for this start of this version, or the trial does not pass', async () => {
    await serve(() => ({ version: '1.0.52', checkIns: 2 }));
    expect((await judged(onTrial(known))).event.kind).toBe('passed');
  });

  it.each([
    ['one check-in', { version: '1.0.52', checkIns: 1 }],
    ['another version', { version: '1.0.49', checkIns: 3 }],
    ['nothing', null],
  ])('that has seen %s does not vouch', async (_what, word) => {
    await serve(() => word);
    expect((await judged(onTrial(known))).event).toMatchObject({ kind: 'failed', reason: 'not-seen-by-server' });
  });

  it('is waited for in words, once the version was healthy for long enough', async () => {
    await serve(() => ({ version: '1.0.52', checkIns: 1 }));
    const { state } = await judged(onTrial(known), usedFor(8_000));
    expect(statusOn(layout).trial?.waits).toBeUndefined();
    await judged(state, usedFor(16_000));
    const { why, trial } = statusOn(layout);
    expect(trial?.waits).toEqual({ seen: 1, of: 2 });
    expect(why).toContain('of 10 s, waiting for two check-ins at the server: 1 of 2.');
  });

  it('that went away is no fault of the version, and is not needed', async () => {
    const server = await serve(() => null);
    const { state } = await judged(onTrial(known), usedFor(4_000));
    server.plan = [{ status: 0, hangsUp: true }];
    works(() => ({ server: 'fail' }));
    expect((await judged(state)).event.kind).toBe('passed');
  });

  it('is asked anew before an agent is called cut off that lost it', async () => {
    const server = await serve(() => ({ version: '1.0.52', checkIns: 2 }));
    const word = { version: '1.0.52', checkIns: 2 };
    server.plan = [server.answer({ nextInS: 3_600, seen: { [sha256(nonceOf('a'))]: word } })];
    const long = { ...known, trial: { ...trial, healthyMs: 50_000 } };
    const { state } = await judged(onTrial(long), usedFor(20_000));
    // Whatever pace the server names: what is known of it is never older than the pace of a trial.
    const asked = server.bodies.length;
    expect(asked).toBeGreaterThan(1);
    server.plan = [{ status: 0, hangsUp: true }];
    works(() => ({ server: 'fail' }));
    expect((await judged(state)).event.kind).toBe('passed');
    expect(server.bodies.length).toBeGreaterThan(asked);
  });

  it('that the updater reaches and the agent does not any more ends the trial', async () => {
    await serve(() => ({ version: '1.0.52', checkIns: 2 }));
    works(() => ({ server: 'fail' }));
    expect((await judged(onTrial(known))).event).toMatchObject({ kind: 'failed', reason: 'server-not-reached' });
  });

  it('that the agent did not reach before may stay away from it', async () => {
    await serve(() => ({ version: '1.0.52', checkIns: 2 }));
    works(() => ({ server: 'fail' }));
    expect((await judged(onTrial({ baselineServer: 'fail' }))).event.kind).toBe('passed');
  });

  it('is tried once more before its word is done without', async () => {
    const server = await serve(() => null);
    server.plan = [{ status: 503, body: { code: 'busy' }, headers: { 'retry-after': '30' } }, server.answer()];
    const { event } = await judged(onTrial({ ...known, trial: { ...trial, healthyMs: 15_000 } }));
    // It was away at first; when the time was there it answered, and had not seen the version.
    expect(event).toMatchObject({ kind: 'failed', reason: 'not-seen-by-server' });
  });

  it('that asked for an hour is asked again when only its word is missing', async () => {
    const server = await serve(() => ({ version: '1.0.52', checkIns: 2 }));
    server.plan = [{ status: 503, body: { code: 'busy' }, headers: { 'retry-after': '3600' } }];
    const { event, state } = await judged(onTrial({ ...known, trial: { ...trial, healthyMs: 15_000 } }));
    expect(event.kind).toBe('passed');
    expect(state.transaction?.usedMs).toBeLessThan(trial.deadlineMs);
  });

  it('that keeps a check-in waiting does not keep the judge from a crash loop', async () => {
    const server: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    appliance = { ...appliance, identity: { ...appliance.identity, url: `http://127.0.0.1:${port}` } };
    agent.launched(nonceOf('a'), [boot, boot, boot]);
    agent.die();
    machine.processes.facts = { ...machine.processes.facts, state: 'failed', pid: null };
    const sooner = await soonerThan(httpLimits.stallMs, async () => (await judged(onTrial(known))).event);
    expect(sooner).toMatchObject({ kind: 'failed', reason: 'crash-loop' });
  });
});
