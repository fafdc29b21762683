import type { HealthAnswer } from '../../../protocol/health.ts';
import type { Case, Modules } from './cases.ts';

const one = '1'.repeat(64);
const two = '2'.repeat(64);
const boot = 'boot-1';
const minute = 60_000;
const now = { boot, atMs: 10 * minute };
const look = { boot, manifest: one, atMs: 4 * minute };
const before = [{ manifest: one, usedMs: 3 * minute }];

const answer: HealthAnswer = {
  proto: 1,
  nonce: 'a'.repeat(64),
  version: '1.0.49',
  progress: 7,
  state: { schema: 1, migrated: true },
  checks: {},
  server: 'ok',
  inhibit: 'a measurement runs',
};

type Called<Name extends keyof Modules['deferral']> = Parameters<Modules['deferral'][Name]>;

function adds(name: string, expected: unknown, ...given: Called<'deferredSoFar'>): Case {
  return { name, run: ({ deferral }) => deferral.deferredSoFar(...given), expected };
}
function works(name: string, expected: unknown, ...given: Called<'workSeen'>): Case {
  return { name, run: ({ deferral }) => deferral.workSeen(...given), expected };
}
function says(name: string, expected: unknown, words: string): Case {
  return { name, run: ({ deferral }) => deferral.cleanWords(words), expected };
}
function isHealthy(name: string, expected: boolean, changes: Partial<HealthAnswer>, sinceMs = 9 * minute): Case {
  const work = { boot, start: 'a', progress: 7, sinceMs };
  const around = { version: '1.0.49', work, now, stallMs: 2 * minute };
  return { name, run: ({ deferral }) => deferral.isWorthWaitingFor({ ...answer, ...changes }, around), expected };
}

const seen = { boot, start: 'a', progress: 7, sinceMs: minute };

/** Putting off, and its end. */
export const deferralCases: Readonly<Record<string, readonly Case[]>> = {
  'time that is put off': [
    adds('begins with nothing', { usedMs: 0 }, [], one, null, now),
    adds('is what lies between two looks that saw the agent ask', { usedMs: 6 * minute }, [], one, look, now),
    adds('adds up', { usedMs: 9 * minute, releases: [{ manifest: one, usedMs: 9 * minute }] }, before, one, look, now),
    adds(
      'is kept over a reboot, and the time between does not count',
      { usedMs: 3 * minute },
      before,
      one,
      { ...look, boot: 'boot-0' },
      now,
    ),
    adds('is kept where the agent did not ask for a while', { usedMs: 3 * minute }, before, one, null, now),
    adds('belongs to one release', { usedMs: 0 }, before, two, look, now),
    adds('never falls, whatever the clock does', { usedMs: 3 * minute }, before, one, look, { boot, atMs: minute }),
    adds(
      'of a release is still there after another one',
      { usedMs: 3 * minute },
      [...before, { manifest: two, usedMs: 1 }],
      one,
      null,
      now,
    ),
    {
      name: 'is remembered of the newest eight',
      run: ({ deferral }) => {
        const many = Array.from({ length: 9 }, (_, i) => ({ manifest: String(i).repeat(64), usedMs: i }));
        const { releases } = deferral.deferredSoFar(many, 'f'.repeat(64), null, now);
        return [releases.length, releases.at(0)?.usedMs, releases.at(-1)?.manifest];
      },
      expected: [8, 2, 'f'.repeat(64)],
    },
  ],
  'an agent that is worth waiting for': [
    isHealthy('is the version that is meant to run, migrated and at work', true, {}),
    isHealthy('is not another version', false, { version: '1.0.48' }),
    isHealthy('has migrated its state', false, { state: { schema: 1, migrated: false } }),
    isHealthy('has moved its work not long ago', false, {}, 8 * minute),
  ],
  'work that is looked at once in a while': [
    works('begins to be looked at', { progress: 7, sinceMs: 10 * minute }, null, 'a', 7, now),
    works('moves', { progress: 8, sinceMs: 10 * minute }, seen, 'a', 8, now),
    works('stands still', seen, seen, 'a', 7, now),
    works('stands still when it goes backwards', seen, seen, 'a', 6, now),
    works('of another start is looked at anew', { sinceMs: 10 * minute }, seen, 'b', 7, now),
    works('of another boot is looked at anew', { sinceMs: 10 * minute }, { ...seen, boot: 'boot-0' }, 'a', 7, now),
  ],
  'the words of the agent': [
    says('are shown as they are', 'a measurement runs', 'a measurement runs'),
    says('cannot move the text of a page or a terminal', 'a b c d', 'a\u001b\n\u202eb\u0000 \u2028 c\u200b\td '),
    says('are bounded', 'x'.repeat(120), 'x'.repeat(200)),
    says('are bounded between characters, not within one', '😀'.repeat(100), '😀'.repeat(100)),
    says('may be none', null, '\u0007 '),
  ],
  'what a person is told of a deferral': [
    {
      name: 'is whose words they are, and how long it may last',
      run: ({ deferral }) => deferral.deferralSentence('1.0.49', 'a measurement runs', 23.5 * 60 * minute),
      expected:
        '1.0.49 asks not to be stopped now: “a measurement runs”; the switch waits for it for at most 23 h 30 min more',
    },
    {
      name: 'is that it has no words',
      run: ({ deferral }) => deferral.deferralSentence('1.0.49', null, minute),
      expected: '1.0.49 asks not to be stopped now: without saying why; the switch waits for it for at most 1 min more',
    },
  ],
};
