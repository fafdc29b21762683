import { describe, expect, it } from 'vitest';
import { failureReasons, rows, type StateBody } from '../../../protocol/state-record.ts';
import type { AgentFacts } from '../../../updater/processes/process-control.ts';
import { noAgentRuns } from '../../../updater/recovery/factory-words.ts';
import { type Situation, whySentence } from '../../../updater/status/sentences.ts';
import { reasonTexts } from '../../../updater/words/texts.ts';
import { digestOf, idleState, stateIn } from '../support/states.ts';

const active: AgentFacts = { state: 'active', pid: 7, crashes: 0, lastExit: null, lastOutput: '' };
const why = (changes: Partial<Situation> = {}) =>
  whySentence({
    state: idleState(),
    agent: active,
    crashes: 0,
    working: { word: 'works' },
    reasons: [],
    serverError: null,
    trouble: null,
    kept: null,
    ...changes,
  });
const left = (version: string, verdict: string, reason: 'trial' | 'by hand' = 'trial'): StateBody =>
  idleState({ quarantine: [{ manifest: digestOf('c'), version, reason, verdict }] });

describe('why an appliance is on what it is on', () => {
  it('is said in one sentence when all is well', () => {
    expect(why()).toBe('1.0.49 runs and is healthy.');
  });

  it('says in a trial what is not compared', () => {
    const trial = stateIn('trial');
    const transaction = trial.transaction === null ? null : { ...trial.transaction, serverCompared: false };
    expect(why({ state: { ...trial, transaction } })).toMatch(/whether it reaches the server is not compared\.$/);
    expect(why({ state: trial })).not.toContain('is not compared');
  });

  it('names the crashes, how often and how', () => {
    expect(why({ crashes: 1, agent: { ...active, lastExit: { code: 1, signal: null } } })).toBe(
      '1.0.49 crashed once (last exit: 1); it runs again.',
    );
    expect(
      why({ crashes: 4, agent: { ...active, state: 'failed', lastExit: { code: null, signal: 'SIGSEGV' } } }),
    ).toBe('1.0.49 crashed 4 times (last exit: SIGSEGV).');
  });

  it('says what becomes of a crash loop, for as long as it is one', () => {
    const stays = 'It stays, because there is no previous version to go back to';
    expect(why({ crashes: 12, stays })).toBe(`1.0.49 crashed 12 times. ${stays}.`);
    expect(why({ stays })).toBe('1.0.49 runs and is healthy.');
  });

  it('never calls healthy what does not run or is not known', () => {
    expect(why({ agent: { ...active, state: 'inactive', pid: null } })).toBe('1.0.49 is not running.');
    expect(why({ agent: null })).toContain('is not known');
    expect(why({ agent: { ...active, state: 'starting', pid: null } })).toBe('1.0.49 is being started.');
    expect(why({ working: { word: 'unknown' } })).toBe('1.0.49 runs; whether it works is not known yet.');
    expect(why({ working: { word: 'silent', forMs: 190_000, isHung: false } })).toBe(
      '1.0.49 runs, but has not answered for 3 min.',
    );
    expect(why({ working: { word: 'still', forMs: 190_000, isHung: false } })).toBe(
      '1.0.49 runs and answers, but its work has stood still for 3 min.',
    );
  });

  it.each(failureReasons)('names the release that was rolled back, and why, in words and by name: %s', (reason) => {
    const text = why({ state: left('1.0.52', reason) });
    expect(text).toBe(`1.0.49 runs: 1.0.52 was rolled back, because ${reasonTexts[reason]} (${reason}).`);
  });

  it('names the person who went back', () => {
    expect(why({ state: left('1.0.52', 'by-hand', 'by hand') })).toBe('1.0.49 runs: a person went back from 1.0.52.');
  });

  it('names the person who went back a second time, and not the failure before that', () => {
    const failed = { manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: 'flap' } as const;
    const byHand = { manifest: digestOf('d'), version: '1.0.48', reason: 'by hand', verdict: 'by-hand' } as const;
    const { app } = idleState();
    const previous = { ...app.committed, slot: '2', version: byHand.version, manifest: byHand.manifest } as const;
    const state = idleState({ quarantine: [failed, byHand], app: { ...app, previous } });
    const reasons = ['app 1.0.52 is in quarantine here: it was tried and did not prove itself'];
    expect(why({ state, reasons })).toBe('1.0.49 runs: a person went back from 1.0.48.');
    // Once it cannot be gone back to, it is history.
    expect(why({ state: { ...state, app: { ...app, previous: null } } })).toBe('1.0.49 runs and is healthy.');
  });

  it('begins with the newest cause, and says of nothing twice that it runs', () => {
    const state = left('1.0.52', 'stalled');
    expect(why({ state, crashes: 2, agent: { ...active, lastExit: { code: 1, signal: null } } })).toBe(
      `1.0.49 crashed 2 times (last exit: 1). 1.0.52 was rolled back, because ${reasonTexts.stalled} (stalled).`,
    );
    expect(why({ state, trouble: '1.0.54 needs more space than there is' })).toBe(
      `1.0.49 runs and is healthy. 1.0.54 needs more space than there is. 1.0.52 was rolled back, because ${reasonTexts.stalled} (stalled).`,
    );
  });

  it('says nothing twice, whoever else says it', () => {
    const trouble = 'the signed list has expired. Look at the clock';
    expect(why({ trouble, serverError: 'The signed list has expired.' })).toBe(
      '1.0.49 runs and is healthy. The signed list has expired. Look at the clock.',
    );
    expect(why({ reasons: ['no route'], serverError: 'no route' })).toBe('1.0.49 runs and is healthy. No route.');
  });

  it('says in safe mode nothing of the committed version that is of the factory agent', () => {
    const text = why({ state: stateIn('safe'), crashes: 3, agent: { ...active, lastExit: { code: 1, signal: null } } });
    expect(text).toContain('The factory agent crashed 3 times');
    expect(text).not.toContain('1.0.49 crashed');
    expect(why({ state: stateIn('safe'), inSafe: noAgentRuns, agent: { ...active, state: 'inactive' } })).not.toContain(
      'is not running',
    );
  });

  it('says that a trial waits for the server, and how far that is', () => {
    expect(why({ state: stateIn('trial'), waits: { seen: 1, of: 2 } })).toBe(
      '1.0.52 is on trial: healthy for 0 s of 5 s, waiting for two check-ins at the server: 1 of 2.',
    );
  });

  it('forgets a rollback when something newer was committed since', () => {
    expect(why({ state: left('1.0.47', 'stalled') })).toBe('1.0.49 runs and is healthy.');
  });

  it('adds what the server holds back, and that it cannot be reached', () => {
    expect(why({ reasons: ['the window opens at 22:00'] })).toBe(
      '1.0.49 runs and is healthy. The window opens at 22:00.',
    );
    expect(why({ serverError: 'no route' })).toMatch(/^1\.0\.49 runs and is healthy\. .*No route\.$/);
  });

  it.each(rows.filter((row) => stateIn(row).transaction !== null))(
    'names both versions or the one in question in %s',
    (row) => {
      // Back is to 1.0.48.
      expect(why({ state: stateIn(row) })).toMatch(
        row === 'returning' ? /1\.0\.48, with its data of 5d ago/ : /1\.0\.52/,
      );
    },
  );

  it('says how far a trial is', () => {
    expect(why({ state: stateIn('trial') })).toBe('1.0.52 is on trial: healthy for 0 s of 5 s.');
  });

  it('says what stopped the last try of a transaction', () => {
    expect(why({ state: stateIn('fetching'), trouble: 'the network went away' })).toBe(
      '1.0.52 is being fetched. The last try stopped: the network went away.',
    );
  });

  it('begins with safe mode where that is so', () => {
    expect(why({ state: stateIn('safe') })).toMatch(
      /^Safe mode: the files of 1\.0\.49 are damaged \(main\.js has another content\)\. The factory agent runs/,
    );
  });

  it('says in safe mode that no agent runs, where the factory agent is damaged too', () => {
    const text = why({ state: stateIn('safe'), inSafe: noAgentRuns });
    expect(text).toMatch(
      /^Safe mode: .*\. No agent runs, because the factory agent is damaged too; nothing is erased\./,
    );
    expect(text).not.toContain('factory agent runs');
  });

  it('says before anything else that releases cannot be verified any more', () => {
    expect(why({ trust: 'releases cannot be verified' })).toBe(
      'Releases cannot be verified. 1.0.49 runs and is healthy.',
    );
  });

  it('fits where it is shown, whatever it is made of', () => {
    const long = 'x'.repeat(2_000);
    expect(why({ reasons: [long], serverError: long }).length).toBeLessThanOrEqual(600);
    expect(why({ state: stateIn('fetching'), trouble: long }).length).toBeLessThanOrEqual(600);
  });
});
