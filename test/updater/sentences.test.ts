import { describe, expect, it } from 'vitest';
import { failureReasons, rows, type StateBody } from '../../protocol/state-record.ts';
import type { AgentFacts } from '../../updater/processes/process-control.ts';
import { reasonTexts, type Situation, whySentence } from '../../updater/sentences.ts';
import { digestOf, idleState, stateIn } from './support/states.ts';

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

  it('names the crashes, how often and how', () => {
    expect(why({ crashes: 1, agent: { ...active, lastExit: { code: 1, signal: null } } })).toBe(
      '1.0.49 crashed once (last exit: 1).',
    );
    expect(
      why({ crashes: 4, agent: { ...active, state: 'failed', lastExit: { code: null, signal: 'SIGSEGV' } } }),
    ).toBe('1.0.49 crashed 4 times (last exit: SIGSEGV).');
  });

  it('says what becomes of a crash loop, for as long as it is one', () => {
    const stays = 'It stays, because there is no version before it to go back to';
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

  it('forgets a rollback when something newer was committed since', () => {
    expect(why({ state: left('1.0.47', 'stalled') })).toBe('1.0.49 runs and is healthy.');
  });

  it('adds what the server holds back, and that it can not be reached', () => {
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

  it('fits where it is shown, whatever it is made of', () => {
    const long = 'x'.repeat(2_000);
    expect(why({ reasons: [long], serverError: long }).length).toBeLessThanOrEqual(600);
    expect(why({ state: stateIn('fetching'), trouble: long }).length).toBeLessThanOrEqual(600);
  });
});
