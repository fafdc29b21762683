import { type Case, failed, looks, needsTime, notSeen, passed, undecided } from './cases.ts';

const cutOff = { answer: { server: 'fail' } } as const;
const notKnown = { answer: { server: 'unknown' } } as const;
const dead = { alive: false, answer: null } as const;
const foreign = 'c'.repeat(64);
const away = { serverReached: false, seen: 0 } as const;
const oneSeen = { seen: 1, for: 30 } as const;

/** What ends a trial, and what the server has to do with it. */
export const failingCases: Readonly<Record<string, readonly Case[]>> = {
  'the word of the server': [
    looks('is needed where the updater reaches it', [oneSeen], undecided(notSeen)),
    looks('is this start of this version, seen twice', [oneSeen, { seen: 2 }], passed),
    looks('that does not come ends the trial at its deadline', [{ seen: 1, for: 60 }], failed('not-seen-by-server')),
    looks('is done without where the updater does not reach it either', [{ ...away, ...cutOff, for: 11 }], passed),
    looks('is waited for while nobody knows whether it can be reached', [{ seen: 0, serverReached: null, for: 30 }], {
      ...undecided(notSeen),
      asksServer: true,
    }),
    looks('is waited for where it was away a while ago', [{ ...away, serverTriedMs: 10_001, for: 11 }], {
      ...undecided(notSeen),
      asksServer: true,
    }),
    looks('is asked for only when the time is there', [{ ...away, serverTriedMs: 10_001, for: 10 }], {
      asksServer: false,
    }),
    looks('is not asked for faster where the server is there', [{ seen: 1, serverTriedMs: 10_001, for: 30 }], {
      ...undecided(notSeen),
      asksServer: false,
    }),
    looks('that came stays when the server goes', [{ serverReached: null, for: 11 }], passed),
  ],
  'reaching the server': [
    looks(
      'is missed for a grace',
      [{ for: 3 }, { ...cutOff, for: 3 }],
      undecided('it does not reach the server, which the updater reaches'),
    ),
    looks(
      'counts when the agent could before and the updater can now',
      [{ for: 3 }, { ...cutOff, for: 4 }],
      failed('server-not-reached'),
    ),
    ...(['fail', 'warn', 'unknown'] as const).map((baselineServer) =>
      looks(`does not count when it was ${baselineServer} before`, [{ ...cutOff, for: 11 }], passed, {
        rules: { baselineServer },
      }),
    ),
    looks(
      'does not count when the updater does not reach it either',
      [{ ...cutOff, serverReached: false, for: 11 }],
      passed,
    ),
    looks('does not count where only the agent reaches it', [{ ...away, for: 11 }], passed),
    looks(
      'counts only when it stays away',
      Array(3)
        .fill([{ ...cutOff, for: 3 }, {}])
        .flat()
        .concat({ for: 10 }),
      passed,
    ),
    looks(
      'is not there again when nothing is known of it',
      [cutOff, cutOff, notKnown, cutOff],
      failed('server-not-reached'),
    ),
    looks('is no loss while nothing was known from the start on', [{ ...notKnown, for: 11 }], passed),
    looks(
      'is compared only with what the updater knows now',
      [{ for: 3 }, { ...cutOff, serverTriedMs: 10_001, for: 9 }],
      {
        ...undecided('it does not reach the server, and whether the updater does is not known yet'),
        asksServer: true,
        trial: { healthyMs: 2_000 },
      },
    ),
    looks('is not compared until the updater has tried', [{ ...cutOff, serverReached: null, for: 9 }], {
      asksServer: true,
    }),
    looks(
      'is not compared for as long after an outage as it took',
      [{ for: 3 }, { ...cutOff, ...away, for: 7 }, { ...cutOff, for: 9 }],
      undecided('it does not reach the server, which the updater reaches'),
    ),
    looks(
      'is compared after that again',
      [{ for: 3 }, { ...cutOff, ...away, for: 7 }, { ...cutOff, for: 10 }],
      failed('server-not-reached'),
    ),
  ],
  'the network path': [
    looks(
      'that the version does not know takes the word of the server out of the verdict',
      [{ seen: 0, path: 'published', ...cutOff, for: 11 }],
      { ...passed, trial: { serverCompared: false } },
    ),
    looks(
      'that the version knows does not: it must be seen',
      [{ seen: 1, path: 'published', answer: { networkPath: 'ab'.repeat(32) }, for: 60 }],
      failed('not-seen-by-server'),
    ),
    looks(
      'that the version knows does not: its loss counts',
      [
        { path: 'published', answer: { networkPath: 'ab'.repeat(32) }, for: 3 },
        { path: 'published', answer: { server: 'fail', networkPath: 'ab'.repeat(32) }, for: 4 },
      ],
      failed('server-not-reached'),
    ),
    looks(
      'that the agent was not given is not held against it',
      [{ seen: 0, path: 'unpublished', answer: { server: 'fail', networkPath: 'ab'.repeat(32) }, for: 11 }],
      passed,
    ),
    looks('that is plain is every version’s', [{ seen: 1, path: 'plain', for: 60 }], failed('not-seen-by-server')),
    looks(
      'is asked of each answer anew',
      [
        { seen: 0, path: 'unpublished', for: 8 },
        { seen: 0, path: 'plain', for: 4 },
      ],
      undecided(notSeen),
    ),
  ],
  'a version': [
    looks(
      'that is not the one of its manifest fails at once (S30)',
      [{ answer: { version: '1.0.51' } }],
      failed('wrong-version'),
    ),
    looks(
      'of something older, whose nonce is another, says nothing',
      [{ answer: { nonce: foreign, version: '1.0.49' } }],
      undecided('what answers is not what launch started'),
    ),
  ],
  'an answer': [
    looks(
      'with a foreign nonce is none (S24)',
      [{ answer: { nonce: foreign }, for: 4 }],
      undecided('what answers is not what launch started'),
    ),
    looks(
      'with a foreign nonce is none, and that ends the trial (S24)',
      [{ answer: { nonce: foreign }, for: 5 }],
      failed('no-answer'),
    ),
    looks('that does not come ends the trial', [{ for: 3 }, { answer: null, for: 5 }], failed('no-answer')),
    looks('in time is enough', [{ for: 3 }, { answer: null, for: 4 }, { answer: {} }], needsTime),
    looks(
      'now and then is enough',
      [{ for: 2 }, { answer: null, for: 3 }, {}, { answer: null, for: 3 }, {}],
      needsTime,
    ),
    looks('says nothing when nobody knows which start is meant', [{ nonce: null, for: 5 }], failed('no-answer')),
    looks(
      'of something else names no reason at the deadline',
      [{ answer: { nonce: foreign, state: { schema: 1, migrated: false } }, for: 2 }],
      failed('deadline'),
      { kept: { usedMs: 58_000 } },
    ),
  ],
  'a process': [
    looks('that is dead has tries left', [{ ...dead, tries: 2, for: 4 }], undecided('the process does not live')),
    looks('that ended at each of its tries is a crash loop', [{ ...dead, tries: 3 }], failed('crash-loop')),
    looks('that was healthy and ended again and again is a flap', [{ for: 3 }, { ...dead, tries: 3 }], failed('flap')),
    looks('that was healthy before the judge was killed is a flap', [{ ...dead, tries: 3 }], failed('flap'), {
      kept: { healthyMs: 2_000, usedMs: 3_000 },
    }),
    looks('whose last try is only about to start is not over', [{ ...dead, starting: true, tries: 3 }], {
      verdict: 'undecided',
    }),
    looks(
      'whose last try comes up may pass',
      [
        { ...dead, starting: true, tries: 3 },
        { tries: 3, for: 11 },
      ],
      passed,
    ),
  ],
  'a deadline': [
    looks(
      'ends what was not healthy for long enough',
      Array(10)
        .fill([{ for: 3 }, { answer: null, for: 3 }])
        .flat(),
      failed('deadline'),
      { rules: { healthyMs: 30_000 } },
    ),
    looks('counts the time of the judge before', [{ answer: null, for: 2 }], failed('deadline'), {
      kept: { usedMs: 58_000 },
    }),
    looks('is not missed a look before', [{ answer: null }], { verdict: 'undecided' }, { kept: { usedMs: 58_000 } }),
    looks('is met by whoever is healthy in its last look', [{ for: 5 }], passed, {
      kept: { healthyMs: 6_000, usedMs: 55_000 },
    }),
  ],
  power: [
    looks(
      'that failed too often gives no verdict on the version',
      [{ for: 3 }, { outOfBoots: true }],
      failed('inconclusive'),
    ),
    looks(
      'that took the record of the tries gives none either',
      [{ for: 3 }, { countLost: true }],
      failed('inconclusive'),
    ),
  ],
};
