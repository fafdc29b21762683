import { describe, expect, it } from 'vitest';
import { type Desired, type DesiredInput, desiredShape } from '../../../protocol/check-in.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { leftByHand, undoneByServer, wantedOf } from '../../../updater/choice/wanted.ts';
import type { Choice } from '../../../updater/machine/event.ts';
import { digestOf, idleState, installed } from '../support/states.ts';

const wanting = (version: string, changes: Partial<DesiredInput> = {}, component = 'app') =>
  desiredShape.parse({
    release: { component, version, manifest: digestOf('c') },
    path: '/releases',
    openForS: 60,
    reasons: [],
    ...changes,
  });
const left = (version: string, reason: 'trial' | 'by hand'): StateBody =>
  idleState({
    quarantine: [{ manifest: digestOf('e'), version, reason, verdict: reason === 'trial' ? 'stalled' : 'by-hand' }],
  });

describe('what a person installs from a file', () => {
  const brought = (version: string): Choice => ({
    ...{ kind: 'update', component: 'app', version, manifest: digestOf('a'), waits: false },
    source: { kind: 'file', path: '/media/stick/app.hfb' },
  });
  const told = (state: StateBody, desired: Desired | null, version = '1.0.48') =>
    undoneByServer(state, desired, brought(version), 'pier-1');

  it('is undone by the server where it is older than what that wants here, or than what runs', () => {
    const next = 'To keep 1.0.48: holdfast fleet assign pier-1 1.0.48';
    expect(told(idleState(), wanting('1.0.52'))).toEqual({
      sentence: 'the server brings 1.0.52 back while it wants that here',
      next,
    });
    expect(told(idleState(), wanting('', { release: null }))).toEqual({
      sentence: 'the server brings 1.0.49 back while a rollout or an assignment names it',
      next,
    });
  });

  it('stays where it is the newest, where what is wanted is in quarantine, and where no server was heard', () => {
    expect(told(idleState(), wanting('1.0.52'), '1.0.53')).toBeNull();
    expect(told(idleState(), null)).toBeNull();
    const failed = { manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: 'stalled' } as const;
    expect(told(idleState({ quarantine: [failed] }), wanting('1.0.52'))).toBeNull();
  });
});

describe("the server's decision", () => {
  it('is taken when it names another release than the one that runs, newer or older', () => {
    for (const version of ['1.0.52', '1.0.40']) {
      expect(wantedOf(idleState(), wanting(version))).toMatchObject({ kind: 'take', choice: { version, waits: true } });
    }
  });

  it('is nothing when it names what runs, what is in quarantine, or no release', () => {
    const runs = idleState({ app: { committed: installed('1', '1.0.52', 'c'), previous: null } });
    const failed = idleState({
      quarantine: [{ manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: 'stalled' }],
    });
    expect(wantedOf(runs, wanting('1.0.52'))).toEqual({ kind: 'nothing', why: 'is-here' });
    expect(wantedOf(failed, wanting('1.0.52'))).toEqual({ kind: 'nothing', why: 'quarantined' });
    expect(wantedOf(idleState(), wanting('1.0.52', { release: null }))).toEqual({
      kind: 'nothing',
      why: 'none-wanted',
    });
    expect(wantedOf(idleState(), null)).toEqual({ kind: 'nothing', why: 'none-wanted' });
  });

  it('is taken once more when it names the updater that is committed and damaged', () => {
    const committed = installed('0', '1.1.0', 'c');
    const runs = idleState({
      app: { committed: installed('1', '1.0.49', 'b'), previous: null },
      updater: { committed, previous: null },
    });
    const desired = wanting('1.1.0', {}, 'updater');
    expect(wantedOf(runs, desired)).toEqual({ kind: 'nothing', why: 'is-here' });
    expect(wantedOf(runs, desired, true)).toMatchObject({ kind: 'take', choice: { component: 'updater' } });
  });

  it.each(['firmware', 'os'])('is held with a reason when it names the component %s', (component) => {
    const reason = `the server wants ${component} 2.0.0, which this updater cannot install`;
    expect(wantedOf(idleState(), wanting('2.0.0', {}, component))).toEqual({ kind: 'hold', reason });
  });

  it('does not bring a person forward to what is older than what they went back from', () => {
    expect(wantedOf(left('1.0.53', 'by hand'), wanting('1.0.52'))).toEqual({
      kind: 'hold',
      reason: 'a person went back from 1.0.53, so 1.0.52, which is older, is not installed automatically',
    });
    expect(wantedOf(left('1.0.53', 'by hand'), wanting('1.0.54')).kind).toBe('take');
  });

  it('brings forward to it when an operator chose it for this appliance, or when 1.0.53 failed its trial', () => {
    expect(wantedOf(left('1.0.53', 'by hand'), wanting('1.0.52', { assigned: true })).kind).toBe('take');
    expect(wantedOf(left('1.0.53', 'trial'), wanting('1.0.52')).kind).toBe('take');
  });
});

describe('what was left by hand', () => {
  it('counts only for versions between it and what runs', () => {
    const state = left('1.0.53', 'by hand');
    const versions = ['1.0.40', '1.0.49', '1.0.50', '1.0.53', '1.0.54'];
    expect(versions.filter((version) => leftByHand(state, version) !== undefined)).toEqual(['1.0.50']);
  });
});
