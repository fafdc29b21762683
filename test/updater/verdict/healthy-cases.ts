import { type Case, failed, looks, needsTime, nonce, otherNonce, passed, undecided } from './cases.ts';

const broken = { answer: { checks: { disk: 'fail', clock: 'ok', network: 'fail' } } } as const;
const notKnown = { answer: { checks: { clock: 'ok', network: 'fail' } } } as const;
const again = { nonce: otherNonce, answer: { nonce: otherNonce }, tries: 2 };
const migrating = { answer: { state: { schema: 1, migrated: false } } };
const still = { answer: { progress: 3 } };

/** What healthy means, and how long. */
export const healthyCases: Readonly<Record<string, readonly Case[]>> = {
  'a trial passes': [
    // The first look of a start shows nothing yet: it has nothing to compare with.
    looks('not a look before its whole healthy time (I6)', [{ for: 10 }], needsTime),
    looks('after its whole healthy time', [{ for: 11 }], { ...passed, trial: { healthyMs: 10_000, usedMs: 11_000 } }),
    looks('not for time in which it was not healthy', [{ for: 6 }, { answer: null, for: 3 }, { for: 3 }], {
      trial: { healthyMs: 7_000 },
    }),
    looks('with more healthy time where it is asked for', [{ for: 11 }], needsTime, { rules: { healthyMs: 11_000 } }),
  ],
  'the baseline': [
    looks('is none: everything that counts by itself is enough', [{ for: 11 }], passed, {
      rules: { baseline: null, baselineServer: 'unknown' },
    }),
    looks('is none: no check is a regression', [{ ...broken, for: 11 }], passed, { rules: { baseline: null } }),
    looks(
      'is none: work that stands still counts all the same',
      [{ for: 3 }, { ...still, for: 6 }],
      failed('stalled'),
      {
        rules: { baseline: null, baselineServer: 'unknown' },
      },
    ),
    looks(
      'is none: the word of the server is needed all the same',
      [{ seen: 1, for: 60 }],
      failed('not-seen-by-server'),
      {
        rules: { baseline: null, baselineServer: 'unknown' },
      },
    ),
  ],
  'a check': [
    looks('that was good before may fail for its grace', [{ ...broken, for: 3 }], undecided('worse than before: disk')),
    looks('that was good before and fails for longer is a regression', [{ ...broken, for: 4 }], {
      ...failed('regression'),
      text: 'worse than before the switch: disk',
    }),
    looks('that warned before may not fail either', [{ answer: { checks: { clock: 'fail' } }, for: 4 }], {
      ...failed('regression'),
      text: 'worse than before the switch: clock',
    }),
    looks('that failed before may fail', [{ answer: { checks: { network: 'fail' } }, for: 11 }], passed),
    looks('of which nothing was known before may fail', [{ answer: { checks: { memory: 'fail' } }, for: 11 }], passed),
    looks('that was not there before may fail', [{ answer: { checks: { added: 'fail' } }, for: 11 }], passed),
    looks('that was good may warn', [{ answer: { checks: { disk: 'warn' } }, for: 11 }], passed),
    looks(
      'that nobody knows a word of is no regression',
      [{ answer: { checks: { clock: { kind: 'unknown', raw: 'shaky' } } }, for: 11 }],
      passed,
    ),
    looks(
      'that recovers in time is forgiven, but its time is not healthy',
      [{ for: 5 }, { ...broken, for: 2 }, { for: 4 }],
      {
        verdict: 'undecided',
        trial: { healthyMs: 7_000, regressedMs: 0 },
      },
    ),
    looks(
      'that failed and is not known any more has not recovered',
      [broken, notKnown, broken, notKnown],
      failed('regression'),
    ),
    looks(
      'that failed may not hide behind a new start',
      [
        { ...broken, for: 3 },
        { ...again, answer: { ...broken.answer, nonce: otherNonce } },
      ],
      failed('regression'),
    ),
  ],
  'healthy time': [
    looks('goes on over a restart of the judge', [{ for: 4 }], needsTime, {
      kept: { healthyMs: 6_000, usedMs: 7_000 },
    }),
    looks(
      'goes on over a restart of the judge, to its end',
      [{ for: 5 }],
      { ...passed, trial: { usedMs: 12_000 } },
      {
        kept: { healthyMs: 6_000, usedMs: 7_000 },
      },
    ),
    looks('begins again with a new start', [{ for: 9 }, { ...again, for: 10 }], needsTime),
    looks('begins again with a new start, and ends', [{ for: 9 }, { ...again, for: 11 }], {
      ...passed,
      trial: { usedMs: 20_000 },
    }),
    {
      name: 'of a start that ended while nobody judged is not that of the next one',
      run: (modules) =>
        looks('', [{ for: 3 }], null, {
          kept: { healthyMs: 9_000, usedMs: 9_000, start: modules.trial.startName(otherNonce) },
        }).run(modules),
      expected: { verdict: 'undecided', trial: { healthyMs: 2_000 } },
    },
    {
      name: 'of the same start is its own',
      run: (modules) =>
        looks('', [{ for: 3 }], null, {
          kept: { healthyMs: 8_000, usedMs: 9_000, start: modules.trial.startName(nonce) },
        }).run(modules),
      expected: passed,
    },
  ],
  progress: [
    looks('that stops for half of the standstill is no healthy time', [{ for: 3 }, { ...still, for: 5 }], {
      ...undecided('its work stands still'),
      trial: { healthyMs: 2_000 },
    }),
    looks(
      'that stops for the whole standstill ends the trial (S42, S43)',
      [{ for: 3 }, { ...still, for: 6 }],
      failed('stalled'),
    ),
    looks('that goes backwards is a standstill', [{ for: 3 }, { answer: { progress: 2 }, for: 6 }], failed('stalled')),
    looks(
      'that goes back and forth is a standstill',
      [{ for: 8 }, ...Array.from({ length: 6 }, (_, i) => ({ answer: { progress: 7 + (i % 2) } }))],
      failed('stalled'),
    ),
    looks(
      'that moves with every answer is a standstill',
      // One is asked for by the status, and five by the judge.
      Array.from({ length: 8 }, (_, i) => ({ answer: { progress: 2 + i * 5 }, movedByAsking: 4 })),
      failed('stalled'),
    ),
    looks(
      'of a worker so fast that each answer finds it further is work, by what it moves in between',
      Array.from({ length: 13 }, (_, i) => ({ answer: { progress: 2 + i * 40 }, movedByAsking: 4 })),
      passed,
    ),
    looks(
      'may have a slower rhythm than the looks',
      Array.from({ length: 13 }, (_, i) => ({ answer: { progress: Math.floor(i / 2) } })),
      passed,
    ),
    looks(
      'may be as slow as the standstill allows',
      Array.from({ length: 16 }, (_, i) => ({ answer: { progress: Math.floor(i / 5) } })),
      passed,
    ),
    looks('makes the time before it count, and nothing else does', [{ for: 9 }, { answer: { progress: 9 }, for: 2 }], {
      ...needsTime,
      trial: { healthyMs: 8_000 },
    }),
    looks(
      'of a new start is compared with its own',
      [{ for: 5 }, { ...again, answer: { nonce: otherNonce, progress: 1 } }],
      needsTime,
    ),
  ],
  'a migration': [
    looks('is not over: that is not healthy', [{ ...migrating, for: 11 }], undecided('its state is not migrated yet')),
    looks(
      'without a deadline of its own must move',
      [{ answer: { ...migrating.answer, progress: 1 }, for: 7 }],
      failed('stalled'),
    ),
    looks(
      'without a deadline of its own ends with the trial',
      [{ ...migrating, for: 60 }],
      failed('state-not-migrated'),
    ),
    looks(
      'with one need not move',
      [{ answer: { ...migrating.answer, progress: 1 }, for: 59 }],
      undecided('its state is not migrated yet'),
      {
        rules: { migrationMs: 90_000 },
      },
    ),
    looks('with one takes nothing from the deadline', [{ ...migrating, for: 80 }, { for: 11 }], passed, {
      rules: { migrationMs: 90_000 },
    }),
    looks('with one fails after it', [{ ...migrating, for: 90 }], failed('state-not-migrated'), {
      rules: { migrationMs: 90_000 },
    }),
    looks('with a short one fails before the deadline', [{ ...migrating, for: 20 }], failed('state-not-migrated'), {
      rules: { migrationMs: 20_000 },
    }),
    looks('with one must answer all the same', [migrating, { answer: null, for: 5 }], failed('no-answer'), {
      rules: { migrationMs: 90_000 },
    }),
    looks(
      'has one deadline for all of its starts',
      [
        { ...migrating, for: 15 },
        { ...again, answer: { ...migrating.answer, nonce: otherNonce }, for: 5 },
      ],
      failed('state-not-migrated'),
      {
        rules: { migrationMs: 20_000 },
      },
    ),
    looks('has one deadline over a restart of the judge', [{ ...migrating, for: 5 }], failed('state-not-migrated'), {
      rules: { migrationMs: 20_000 },
      kept: { usedMs: 15_000, migratingMs: 15_000 },
    }),
    looks(
      'must move again when it is over',
      [
        { ...migrating, for: 20 },
        { answer: { progress: 20 }, for: 6 },
      ],
      failed('stalled'),
      {
        rules: { migrationMs: 90_000 },
      },
    ),
  ],
};
