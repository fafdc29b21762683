import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { type Appliance, freshMemory } from '../../../updater/appliance/appliance.ts';
import { replaceJson } from '../../../updater/effects/durable.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { AnsweringAgent, nonceOf } from '../support/answering-agent.ts';
import { statusOn } from '../support/record-appliance.ts';
import { digestOf, events, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { awaitWindow } from '../support/told-steps.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const minutes = 60_000;
const hours = 60 * minutes;
const boot = '00000000-0000-4000-8000-000000000001';
const otherBoot = '00000000-0000-4000-8000-000000000002';
const words = 'a measurement runs';

let layout: Layout;
let agent: AnsweringAgent;
let machine: ReturnType<typeof testAppliance>;
let appliance: Appliance;

/** 1.0.49 runs, works and asks not to be stopped; 1.0.52 is sealed, and its window is open. */
beforeEach(async () => {
  layout = temporaryAppliance();
  begin();
  agent = new AnsweringAgent(layout, '1.0.49');
  agent.launched(nonceOf('a'), [boot]);
  agent.answers = () => {
    agent.progress += 1;
    return { inhibit: words };
  };
  await agent.listen();
  wants(digestOf('c'), 3_600);
});

function begin(files: Files = realFiles, settings: Partial<Appliance['settings']> = {}): void {
  machine = testAppliance(layout, files);
  appliance = { ...machine.appliance, settings: { ...machine.appliance.settings, ...settings } };
}

/** The server's last word. */
function wants(manifest: string, openForS: number): void {
  const desired = {
    release: { component: 'app', version: '1.0.52', manifest },
    path: '/releases',
    openForS,
    reasons: [],
  };
  const times = { nextInS: 3_600_000, boot: machine.clock.boot, triedMs: machine.clock.nowMs, failures: 0 };
  const answer = { etag: null, desired, ...times, answered: null, error: null };
  replaceJson(realFiles, join(layout.run, 'last-answer.json'), answer, 0o600);
}

/** A run of the updater that finds the slot sealed; it wrote it itself, so that it need not be read again. */
function look(state: StateBody = stateIn('sealed')) {
  const memory = freshMemory(false);
  const { tx = 0, manifest = '' } = state.transaction ?? {};
  memory.written = { tx, manifest };
  return awaitWindow(appliance, state, memory);
}

async function looksFor(ms: number, stepMs = 30 * minutes): Promise<void> {
  const untilMs = machine.clock.nowMs + ms;
  while (machine.clock.nowMs < untilMs) {
    machine.clock.nowMs += stepMs;
    expect(await look()).toEqual({ kind: 'nothing' });
  }
}

const kept = () => JSON.parse(readFileSync(layout.deferred, 'utf8')).releases;
const clear = { kind: 'clear', baseline: { disk: 'ok' }, baselineServer: 'ok' };

describe('a healthy agent that asks not to be stopped', () => {
  it('is waited for, and everybody can read for what and for how long', async () => {
    expect(await look()).toEqual({ kind: 'nothing' });
    await looksFor(30 * minutes);
    const { why, deferral } = statusOn(layout);
    expect(deferral).toEqual({ words, usedMs: 30 * minutes, leftMs: 23.5 * hours });
    expect(why).toBe(
      '1.0.52 is being prepared; 1.0.49 runs. 1.0.49 asks not to be stopped now: “a measurement runs”; ' +
        'the switch waits for it for at most 23 h 30 min more.',
    );
  });

  it('is waited for a day of running in all, and no longer', async () => {
    await look();
    await looksFor(23.5 * hours);
    machine.clock.nowMs += 30 * minutes;
    expect(await look()).toEqual(clear);
    expect(machine.lines.at(-1)).toContain('it was put off for long enough');
    expect(statusOn(layout).deferral).toBeUndefined();
  });

  it('is waited for as long as the settings of the appliance say', async () => {
    begin(realFiles, { deferMaxMs: 10 * minutes });
    expect(await look()).toEqual({ kind: 'nothing' });
    machine.clock.nowMs += 10 * minutes;
    expect(await look()).toEqual(clear);
    realFiles.unlink(layout.deferred);
    begin(realFiles, { deferMaxMs: 0 });
    expect(await look()).toEqual(clear);
  });

  it('does not get a new day by a reboot, and what nobody saw does not count', async () => {
    await look();
    await looksFor(2 * hours);
    machine.clock.boot = otherBoot;
    wants(digestOf('c'), 3_600);
    machine.clock.nowMs += 5 * hours;
    expect(await look()).toEqual({ kind: 'nothing' });
    expect(kept()).toEqual([{ manifest: digestOf('c'), usedMs: 2 * hours }]);
    await looksFor(hours);
    expect(kept()).toEqual([{ manifest: digestOf('c'), usedMs: 3 * hours }]);
  });

  it('is not charged for time in which the window was closed', async () => {
    await look();
    await looksFor(hours);
    wants(digestOf('c'), 0);
    await looksFor(4 * hours);
    wants(digestOf('c'), 3_600);
    expect(await look()).toEqual({ kind: 'nothing' });
    expect(kept()).toEqual([{ manifest: digestOf('c'), usedMs: hours }]);
  });

  it('is not charged for time in which it did not ask', async () => {
    await look();
    agent.answers = () => ({ inhibit: null });
    machine.clock.nowMs += hours;
    expect(await look()).toEqual(clear);
    agent.answers = () => ({ inhibit: words });
    machine.clock.nowMs += hours;
    expect(await look()).toEqual({ kind: 'nothing' });
    expect(kept()).toEqual([{ manifest: digestOf('c'), usedMs: 0 }]);
  });

  it('has a day for each release, and not a second one for the same', async () => {
    await look();
    await looksFor(2 * hours);
    const other = { ...events.take.choice, version: '1.0.54', manifest: digestOf('e') };
    const sealed = (['resolved', 'fetched', 'written'] as const).reduce(
      (state, kind) => next(state, events[kind]),
      next(idleState(), { kind: 'take', choice: other }),
    );
    wants(digestOf('e'), 3_600);
    expect(await look(sealed)).toEqual({ kind: 'nothing' });
    wants(digestOf('c'), 3_600);
    expect(await look()).toEqual({ kind: 'nothing' });
    expect(kept()).toEqual([
      { manifest: digestOf('e'), usedMs: 0 },
      { manifest: digestOf('c'), usedMs: 2 * hours },
    ]);
  });

  it('can say nothing that moves a page or a terminal', async () => {
    agent.answers = () => ({ progress: 1, inhibit: `\u001b[2J<b>\u202e${'x'.repeat(180)}` });
    await look();
    expect(statusOn(layout).deferral?.words).toBe(`[2J<b> ${'x'.repeat(113)}`);
  });

  it('is not waited for where that cannot be counted', async () => {
    const create: Files['create'] = (path, mode) => {
      if (basename(path).startsWith('deferred.json')) throw systemError('ENOSPC');
      return realFiles.create(path, mode);
    };
    begin(withOperations({ create }));
    expect(await look()).toEqual(clear);
    expect(machine.lines.at(-1)).toContain('there is no space to count');
  });
});

describe('nobody waits for', () => {
  it('an agent that is dead, whatever the window', async () => {
    agent.die();
    wants(digestOf('c'), 0);
    expect(await look()).toEqual({ kind: 'clear', baseline: null, baselineServer: 'unknown' });
  });

  it('an answer that is not of what launch started', async () => {
    agent.answers = () => ({ nonce: nonceOf('b'), inhibit: words });
    expect(await look()).toEqual({ kind: 'clear', baseline: null, baselineServer: 'unknown' });
  });

  it.each([
    ['is another version than the committed one', { version: '1.0.48' }],
    ['has not migrated its state', { state: { schema: 1, migrated: false } }],
  ] as const)('an agent that %s: neither for it nor for the window', async (_what, wrong) => {
    agent.answers = () => ({ inhibit: words, ...wrong });
    expect(await look()).toEqual(clear);
    wants(digestOf('c'), 0);
    expect(await look()).toEqual(clear);
  });

  it('an agent that answers while its work stands still (S42): neither for it nor for the window', async () => {
    for (const openForS of [3_600, 0]) {
      wants(digestOf('c'), openForS);
      agent.launched(nonceOf(openForS === 0 ? 'd' : 'e'), [boot]);
      agent.answers = () => ({ inhibit: words, progress: 7 });
      expect(await look()).toEqual({ kind: 'nothing' });
      machine.clock.nowMs += appliance.settings.stallMs - 1;
      expect(await look()).toEqual({ kind: 'nothing' });
      machine.clock.nowMs += 1;
      expect(await look()).toEqual(clear);
      expect(machine.lines.at(-1)).toContain('is not healthy: the switch does not wait');
    }
  });

  it('an agent when somebody brought a file, or asked to go back', async () => {
    const state = stateIn('sealed');
    const brought = { ...state, transaction: state.transaction && { ...state.transaction, waits: false } };
    wants(digestOf('c'), 0);
    expect(await look(brought)).toEqual(clear);
  });

  it.each([
    ['an agent that asks', 3_600],
    ['the window', 0],
  ])('%s when a person asks for something: what waits is left for it', async (_what, openForS) => {
    wants(digestOf('c'), openForS);
    expect(await look()).toEqual({ kind: 'nothing' });
    const id = randomUUID();
    realFiles.makeDirectory(layout.requests, 0o700);
    replaceJson(realFiles, join(layout.requests, `${id}.json`), { v: 1, id, kind: 'rollback' }, 0o600);
    expect(await look()).toEqual({ kind: 'refused' });
    expect(next(stateIn('sealed'), { kind: 'refused' }).row).toBe('idle');
  });

  it('a request that is none', async () => {
    realFiles.makeDirectory(layout.requests, 0o700);
    replaceJson(realFiles, join(layout.requests, 'half-written.tmp'), {}, 0o600);
    expect(await look()).toEqual({ kind: 'nothing' });
  });
});

describe('the window', () => {
  it('is waited for by a healthy agent that asks for nothing', async () => {
    agent.answers = () => {
      agent.progress += 1;
      return {};
    };
    wants(digestOf('c'), 0);
    await looksFor(4 * hours);
    expect(statusOn(layout).deferral).toBeUndefined();
    wants(digestOf('c'), 60);
    expect(await look()).toEqual(clear);
  });
});
