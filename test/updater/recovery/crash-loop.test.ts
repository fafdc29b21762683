import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { Installed, StateBody } from '../../../protocol/state-record.ts';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { next } from '../../../updater/machine/table.ts';
import { recordEnd } from '../../../updater/outcome/outcome.ts';
import { ask } from '../../../updater/run/ask.ts';
import { whyOf } from '../../../updater/status/publish-status.ts';
import { commit } from '../../../updater/transaction/switch.ts';
import { aloneMs, crashLoop } from '../../../updater/verdict/rescue.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { installFile, setUp } from '../release/install.ts';
import { events, idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** 1.0.49 has been committed for days, and process control gives it up again and again. No server answers anything new. */
const minute = 60_000;
const crashed = { state: 'failed', pid: null, lastExit: { code: 1, signal: null }, lastOutput: 'no pump' } as const;

let fixture: ReleaseFixture;
let [older, newer, rewriter]: BuiltRelease[] = [];
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  const build = (version: string, writes: number) =>
    fixture.build({
      version,
      files: { 'main.js': noise(version, 5_000) },
      securityVersion: 1,
      compatibility: { state: { reads: { min: 1, max: writes }, writes } },
    });
  older = await build('1.0.48', 1);
  newer = await build('1.0.49', 1);
  rewriter = await build('1.0.50', 2);
});
afterAll(() => fixture[Symbol.dispose]());

let layout: Layout;
let base: StateBody;
const inSlot = async (slot: '0' | '1', release: BuiltRelease | undefined): Promise<Installed> => {
  if (release === undefined) throw new RangeError('it was not built');
  await installFile(layout, release.path, slot);
  return { slot, version: release.version, manifest: release.manifest, securityVersion: 1 };
};
beforeEach(async () => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.requests, layout.runtimes, layout.slots]) mkdirSync(path, { recursive: true });
  setUp(fixture, layout);
  writeFileSync(layout.hint, '');
  base = idleState({ app: { committed: await inSlot('1', newer), previous: await inSlot('0', older) } });
});

/** What the server said last, at the beginning of this boot. */
function answered(openForS: number, release: object | null = null, boot?: string): void {
  const desired = { release, path: '/releases', openForS, reasons: [] };
  const { clock } = testAppliance(layout);
  const own = boot ?? clock.bootId();
  const last = { etag: null, desired, nextInS: 3_600, boot: own, triedMs: clock.monoMs(), failures: 0, error: null };
  const at = { boot: own, monoMs: clock.monoMs(), wallS: 0 };
  writeFileSync(join(layout.run, 'last-answer.json'), JSON.stringify({ ...last, answered: at }));
}

/** One appliance over many runs of the updater, each of which finds an agent that process control gave up. */
function crashing(state: StateBody = base) {
  const box = testAppliance(layout);
  const { appliance, clock, processes } = box;
  let crashes = 0;
  return {
    ...box,
    async burst(afterMs = 10_000) {
      clock.nowMs += afterMs;
      crashes += 4;
      processes.facts = { ...crashed, crashes };
      const event = await ask(appliance, state, freshMemory(false));
      // The same run goes on after it has noted the time.
      return event.kind === 'window-time' ? ask(appliance, state, freshMemory(false)) : event;
    },
    why: () => whyOf(appliance, state, { ...crashed, crashes }, crashes),
    texts: () => appliance.events.next().map(({ text }) => text ?? ''),
  };
}

/** What the updater makes of the burst that makes it a loop. */
async function loops(box: ReturnType<typeof crashing>) {
  for (let n = 1; n < crashLoop.bursts; n += 1) expect(await box.burst()).toEqual({ kind: 'nothing' });
  return box.burst();
}

describe('a committed version that crash-loops', () => {
  it('is started again after each burst, and left for the version before when that was for nothing', async () => {
    answered(3_600);
    const box = crashing();
    expect(await loops(box)).toMatchObject({ kind: 'return', cause: 'crash-loop', trial: { tries: 3 } });
    expect(box.processes.orders).toEqual(Array(crashLoop.bursts - 1).fill('start'));
    expect(box.texts()).toContainEqual(expect.stringContaining('it goes back to 1.0.48 by itself'));
  });

  it('is none when the bursts are rare', async () => {
    answered(360_000);
    const box = crashing();
    for (let n = 0; n < 6; n += 1) expect(await box.burst(16 * minute)).toEqual({ kind: 'nothing' });
  });

  it('is counted over runs of the updater, and anew in another boot and for another version', async () => {
    answered(3_600);
    const first = crashing();
    for (let n = 1; n < crashLoop.bursts; n += 1) await first.burst();
    const rebooted = crashing();
    rebooted.clock.boot = '00000000-0000-4000-8000-000000000009';
    expect(await rebooted.burst()).toEqual({ kind: 'nothing' });
    answered(3_600);
    const other = crashing({ ...base, app: { committed: await inSlot('1', rewriter), previous: base.app.previous } });
    expect(await other.burst()).toEqual({ kind: 'nothing' });
  });

  it('makes way for a newer release first', async () => {
    answered(3_600, { component: 'app', version: '1.0.52', manifest: 'c'.repeat(64) });
    const box = crashing();
    expect(await box.burst()).toMatchObject({ kind: 'take', choice: { version: '1.0.52' } });
  });
});

describe('it stays, and why says so', () => {
  const entry = () => {
    const { manifest, version } = base.app.previous ?? base.app.committed;
    return { manifest, version, reason: 'trial', verdict: 'stalled' } as const;
  };

  it.each<[string, () => Partial<StateBody>, string]>([
    ['nothing was before it', () => ({ app: { ...base.app, previous: null } }), 'there is no previous version'],
    [
      'it was left once',
      () => ({ rescued: base.app.committed.manifest }),
      'going back to 1.0.48 was tried once, and failed',
    ],
    ['the one before is quarantined', () => ({ quarantine: [entry()] }), '1.0.48 is in quarantine'],
    ['the one before is below the floor', () => ({ floor: { app: 2, updater: 1 } }), '1.0.48 is below the floor'],
  ])('where %s', async (_what, changes, why) => {
    answered(3_600);
    const box = crashing({ ...base, ...changes() });
    expect(await loops(box)).toEqual({ kind: 'nothing' });
    expect(box.why()).toContain(`It stays, because ${why}`);
    expect(box.texts().filter((text) => text.includes(why))).toHaveLength(1);
    // It is started all the same, each time; and told once.
    for (let n = 0; n < 3; n += 1) expect(await box.burst()).toEqual({ kind: 'nothing' });
    expect(box.processes.orders).toEqual(Array(crashLoop.bursts + 3).fill('start'));
    expect(box.texts().filter((text) => text.includes(why))).toHaveLength(1);
  });

  it('where the one before cannot read the data', async () => {
    answered(3_600);
    const app = { committed: await inSlot('1', rewriter), previous: base.app.previous };
    const box = crashing({ ...base, app });
    expect(await loops(box)).toEqual({ kind: 'nothing' });
    expect(box.why()).toContain("1.0.48 cannot read today's data; only a person can go back");
  });

  it('where the one before is damaged', async () => {
    answered(3_600);
    writeFileSync(join(layout.slot('app', '0'), 'main.js'), noise('rotten', 5_000));
    const box = crashing();
    expect(await loops(box)).toEqual({ kind: 'nothing' });
    expect(box.why()).toContain('1.0.48 is damaged');
  });
});

describe('the window', () => {
  it('is waited for where nobody says that it is open, and not for ever', async () => {
    answered(0);
    const box = crashing();
    expect(await loops(box)).toEqual({ kind: 'nothing' });
    expect(box.why()).toContain('It goes back to 1.0.48 by itself when');
    let waitedMs = 0;
    for (; waitedMs < 2 * aloneMs; waitedMs += minute) if ((await box.burst(minute)).kind === 'return') break;
    expect(waitedMs).toBeGreaterThanOrEqual(aloneMs - 2 * minute);
    expect(waitedMs).toBeLessThanOrEqual(aloneMs + minute);
  });
});

describe('when it is left', () => {
  it('the server hears of it as of a rollback, before it hears of the commit', async () => {
    const way = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed'] as const;
    const begun = next(base, { ...events.return, cause: 'crash-loop' });
    const committing = way.reduce((state, kind) => next(state, events[kind]), begun);
    const { appliance } = testAppliance(layout);
    recordEnd(appliance, committing, await commit(appliance, committing));
    recordEnd(appliance, committing, await commit(appliance, committing));
    const told = appliance.events.next().map(({ kind, release }) => ({ kind, ...release }));
    expect(told).toMatchObject([
      {
        kind: 'release-rolled-back',
        version: '1.0.49',
        manifest: newer?.manifest,
        from: '1.0.48',
        reason: 'crash-loop',
      },
      { kind: 'release-committed', version: '1.0.48' },
    ]);
    const after = next(committing, events.committed);
    const facts = { state: 'active', pid: 7, crashes: 0, lastExit: null, lastOutput: '' } as const;
    expect(whyOf(appliance, after, facts, 0)).toMatch(/^1\.0\.48 runs: 1\.0\.49 was rolled back, because it crashed/);
  });

  it('and the one before crash-loops too, it stays: nothing goes forth and back', async () => {
    const way = ['clear', 'agent-gone', 'snapshot-done', 'started', 'passed', 'committed'] as const;
    const begun = next(base, { ...events.return, cause: 'crash-loop' });
    const after = way.reduce((state, kind) => next(state, events[kind]), begun);
    answered(3_600);
    const box = crashing(after);
    expect(await loops(box)).toEqual({ kind: 'nothing' });
    expect(box.why()).toContain('1.0.49 is in quarantine');
  });
});
