import { describe, expect, it } from 'vitest';
import type { HealthAnswer } from '../../protocol/health.ts';
import { beginTrial, judge, type Sample, type Trial, type TrialRules, type Verdict } from '../../updater/verdict.ts';

const nonce = 'a'.repeat(64);
const rules: TrialRules = {
  version: '1.0.52',
  tries: 3,
  healthyMs: 10_000,
  deadlineMs: 60_000,
  stallMs: 6_000,
  answerMs: 5_000,
  graceMs: 3_000,
  baseline: { disk: 'ok', clock: 'warn', network: 'fail' },
  baselineServer: 'ok',
};

const healthy: HealthAnswer = {
  proto: 1,
  nonce,
  version: '1.0.52',
  progress: 1,
  state: { schema: 2, migrated: true },
  checks: { disk: 'ok', clock: 'ok', network: 'fail' },
  server: 'ok',
  inhibit: null,
};

type Given = Omit<Partial<Sample>, 'answer'> & { answer?: Partial<HealthAnswer> | null; for?: number };

/** One look a second; `for` repeats it. Progress rises by itself where an answer does not say otherwise. */
function watch(given: readonly Given[], its: TrialRules = rules, from: Trial = beginTrial(0, 0)): Verdict {
  let verdict: Verdict = { verdict: 'undecided', trial: from, obstacle: '' };
  let progress = 0;
  for (const { answer = {}, for: times = 1, ...changes } of given) {
    for (let i = 0; i < times && verdict.verdict === 'undecided'; i += 1) {
      progress += 1;
      verdict = judge(its, verdict.trial, {
        sinceMs: 1_000,
        alive: true,
        starting: false,
        tries: 1,
        outOfBoots: false,
        countLost: false,
        nonce,
        serverReached: true,
        seen: 2,
        ...changes,
        answer: answer === null ? null : { ...healthy, progress, ...answer },
      });
    }
  }
  return verdict;
}

const failed = (reason: string) => expect.objectContaining({ verdict: 'failed', reason });
const undecided = expect.objectContaining({ verdict: 'undecided' });

describe('a trial passes', () => {
  it('after its whole healthy time and not a look before (I6)', () => {
    // The first look of a start shows nothing yet: it has nothing to compare with.
    expect(watch([{ for: 10 }])).toMatchObject({ verdict: 'undecided', obstacle: 'it needs more healthy time' });
    expect(watch([{ for: 11 }])).toMatchObject({ verdict: 'passed', trial: { healthyMs: 10_000, usedMs: 11_000 } });
  });

  it('without a baseline when everything that counts by itself holds', () => {
    expect(watch([{ for: 11 }], { ...rules, baseline: null, baselineServer: 'unknown' }).verdict).toBe('passed');
  });

  it('with a check that was failing before the switch, and with one that nobody knew', () => {
    const checks = { network: 'fail', disk: 'warn', clock: { kind: 'unknown', raw: 'shaky' }, new: 'fail' } as const;
    expect(watch([{ answer: { checks }, for: 11 }]).verdict).toBe('passed');
  });

  it('goes on over a restart of the judge, with the time that is left', () => {
    const before = watch([{ for: 7 }]).trial;
    const after = beginTrial(before.healthyMs, before.usedMs);
    expect(watch([{ for: 4 }], rules, after)).toEqual(undecided);
    expect(watch([{ for: 5 }], rules, after)).toMatchObject({ verdict: 'passed', trial: { usedMs: 12_000 } });
  });

  it('counts healthy time anew with each start', () => {
    const again = { nonce: 'b'.repeat(64), answer: { nonce: 'b'.repeat(64) }, tries: 2 };
    expect(watch([{ for: 9 }, { ...again, for: 10 }])).toEqual(undecided);
    expect(watch([{ for: 9 }, { ...again, for: 11 }])).toMatchObject({ verdict: 'passed', trial: { usedMs: 20_000 } });
  });

  it('does not count the time in which it was not healthy', () => {
    expect(watch([{ for: 6 }, { answer: null, for: 3 }, { for: 3 }])).toMatchObject({ trial: { healthyMs: 8_000 } });
  });
});

describe('the word of the server', () => {
  it('is needed where the updater reaches it: this start of this version, seen twice', () => {
    expect(watch([{ seen: 1, for: 30 }])).toMatchObject({
      verdict: 'undecided',
      obstacle: 'the server has not seen two check-ins of it',
    });
    expect(watch([{ seen: 1, for: 30 }, { seen: 2 }]).verdict).toBe('passed');
    expect(watch([{ seen: 1, for: 60 }])).toEqual(failed('not-seen-by-server'));
  });

  it('is done without where the updater does not reach it either', () => {
    expect(watch([{ seen: 0, serverReached: false, answer: { server: 'fail' }, for: 11 }]).verdict).toBe('passed');
  });

  it('is waited for as long as nobody knows whether the server can be reached', () => {
    expect(watch([{ seen: 0, serverReached: null, for: 30 }])).toEqual(undecided);
  });
});

describe('reaching the server', () => {
  const cutOff = { answer: { server: 'fail' } } as const;

  it('counts when the agent could before and the updater can now', () => {
    expect(watch([{ for: 3 }, { ...cutOff, for: 3 }])).toMatchObject({
      verdict: 'undecided',
      obstacle: 'it does not reach the server, which the updater reaches',
    });
    expect(watch([{ for: 3 }, { ...cutOff, for: 4 }])).toEqual(failed('server-not-reached'));
  });

  it('does not count when the agent could not before, or nobody knows', () => {
    for (const baselineServer of ['fail', 'warn', 'unknown'] as const) {
      expect(watch([{ ...cutOff, for: 11 }], { ...rules, baselineServer }).verdict).toBe('passed');
    }
  });

  it('does not count when the updater does not reach it either', () => {
    expect(watch([{ ...cutOff, serverReached: false, for: 11 }]).verdict).toBe('passed');
  });

  it('counts only when it stays away', () => {
    const flicker = [{ ...cutOff, for: 3 }, { for: 1 }];
    expect(watch([...flicker, ...flicker, ...flicker, { for: 9 }]).verdict).toBe('passed');
  });
});

describe('a check', () => {
  const broken = { answer: { checks: { disk: 'fail', clock: 'ok', network: 'fail' } } } as const;

  it('that was good before and fails for longer than its grace is a regression', () => {
    expect(watch([{ ...broken, for: 3 }])).toMatchObject({ verdict: 'undecided', obstacle: 'worse than before: disk' });
    expect(watch([{ ...broken, for: 4 }])).toMatchObject({
      verdict: 'failed',
      reason: 'regression',
      text: 'worse than before the switch: disk',
    });
  });

  it('that warned before may not fail either', () => {
    const checks = { clock: 'fail' } as const;
    expect(watch([{ answer: { checks }, for: 4 }])).toEqual(failed('regression'));
  });

  it('is no regression where nothing is known of before', () => {
    expect(watch([{ ...broken, for: 11 }], { ...rules, baseline: null }).verdict).toBe('passed');
  });

  it('that recovers within its grace is forgiven, but its time does not count as healthy', () => {
    expect(watch([{ for: 5 }, { ...broken, for: 2 }, { for: 4 }])).toMatchObject({ trial: { healthyMs: 8_000 } });
  });
});

describe('a trial fails', () => {
  it('at once when the version is not the one of its manifest (S30)', () => {
    expect(watch([{ answer: { version: '1.0.51' } }])).toEqual(failed('wrong-version'));
  });

  it('not for the version that something older answers, whose nonce is another', () => {
    expect(watch([{ answer: { nonce: 'c'.repeat(64), version: '1.0.49' } }])).toMatchObject({
      verdict: 'undecided',
      obstacle: 'what answers is not what launch started',
    });
  });

  it('when nothing answers with the nonce of this start (S24)', () => {
    expect(watch([{ answer: { nonce: 'c'.repeat(64) }, for: 4 }])).toEqual(undecided);
    expect(watch([{ answer: { nonce: 'c'.repeat(64) }, for: 5 }])).toEqual(failed('no-answer'));
  });

  it('when it does not answer at all', () => {
    expect(watch([{ for: 3 }, { answer: null, for: 5 }])).toEqual(failed('no-answer'));
  });

  it('when nobody knows which start it is', () => {
    expect(watch([{ nonce: null, for: 5 }])).toEqual(failed('no-answer'));
  });

  it('when its work stands still while it goes on answering (S42, S43)', () => {
    expect(watch([{ for: 3 }, { answer: { progress: 3 }, for: 5 }])).toMatchObject({
      obstacle: 'its work stands still',
    });
    expect(watch([{ for: 3 }, { answer: { progress: 3 }, for: 6 }])).toEqual(failed('stalled'));
  });

  it('when its work goes backwards', () => {
    expect(watch([{ for: 3 }, { answer: { progress: 2 }, for: 6 }])).toEqual(failed('stalled'));
  });

  it('not when its work only has a slower rhythm than the looks', () => {
    const slow = Array.from({ length: 13 }, (_, i) => ({ answer: { progress: Math.floor(i / 2) } }));
    expect(watch(slow).verdict).toBe('passed');
  });

  it('when it never finishes migrating its state', () => {
    const answer = { state: { schema: 1, migrated: false } };
    expect(watch([{ answer, for: 59 }])).toMatchObject({ obstacle: 'its state is not migrated yet' });
    expect(watch([{ answer, for: 60 }])).toEqual(failed('state-not-migrated'));
  });

  it('when it is not healthy for long enough before the deadline', () => {
    const flicker = [{ for: 2 }, { answer: null, for: 4 }];
    expect(watch(Array(10).fill(flicker).flat(), { ...rules, healthyMs: 30_000 })).toEqual(failed('deadline'));
  });

  it('at a deadline that counts the time of the judge before', () => {
    expect(watch([{ answer: null, for: 2 }], rules, beginTrial(0, 58_000))).toEqual(failed('deadline'));
  });

  it('as a crash loop when it ended at each of its tries', () => {
    expect(watch([{ alive: false, answer: null, tries: 2, for: 4 }])).toMatchObject({
      verdict: 'undecided',
      obstacle: 'the process does not live',
    });
    expect(watch([{ alive: false, answer: null, tries: 3 }])).toEqual(failed('crash-loop'));
  });

  it('as a flap when one of its starts was healthy', () => {
    expect(watch([{ for: 3 }, { alive: false, answer: null, tries: 3 }])).toEqual(failed('flap'));
  });

  it('not while its last try has been counted and is only about to start', () => {
    const starting = { alive: false, starting: true, answer: null, tries: 3 };
    expect(watch([starting])).toEqual(undecided);
    expect(watch([starting, { tries: 3, for: 11 }]).verdict).toBe('passed');
  });

  it('without a verdict on the version when the power failed too often', () => {
    expect(watch([{ for: 3 }, { outOfBoots: true }])).toEqual(failed('inconclusive'));
  });
});

describe('a counter that moves with every answer', () => {
  /** So many answers were asked for in each look: one for the status, and five by the judge. */
  const looks = (perLook: number, movedByAsking: number) =>
    Array.from({ length: 8 }, (_, i) => ({ answer: { progress: 2 + i * perLook }, movedByAsking }));

  it('is no progress: it stalls', () => {
    expect(watch(looks(6, 4))).toEqual(failed('stalled'));
  });

  it('of a worker so fast that each answer finds it further is progress, by what it moves in between', () => {
    expect(watch(looks(40, 4))).toEqual(undecided);
  });
});
