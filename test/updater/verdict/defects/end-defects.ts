import { type Defect, inTrial, inVerdict } from './defect.ts';

export const endDefects: readonly Defect[] = [
  inVerdict(
    'does not compare versions',
    'ours !== null && ours.version !== rules.version',
    'false',
    'a version: that is not the one of its manifest fails at once (S30)',
  ),
  inVerdict(
    'believes any answer',
    'answer !== null && answer.nonce === sample.nonce ? answer : null',
    'answer',
    'a version: of something older, whose nonce is another, says nothing',
  ),
  inVerdict(
    'takes any answer for a sign of life',
    'silentMs: trial.silentMs + sinceMs }',
    'silentMs: answer === null ? trial.silentMs + sinceMs : 0 }',
    'an answer: with a foreign nonce is none, and that ends the trial (S24)',
  ),
  inVerdict(
    'waits for an answer for ever',
    'trial.silentMs >= rules.answerMs',
    'false',
    'an answer: that does not come ends the trial',
  ),
  inVerdict(
    'waits for no answer',
    'trial.silentMs >= rules.answerMs',
    'trial.silentMs >= 4_000',
    'an answer: in time is enough',
  ),
  inVerdict(
    'adds up silence',
    '    silentMs: 0,\n    regressed,',
    '    regressed,',
    'an answer: now and then is enough',
  ),
  inVerdict(
    'names the reason of something else',
    'deadlineReason(because, ours)',
    'deadlineReason(because, sample.answer)',
    'an answer: of something else names no reason at the deadline',
  ),
  inVerdict(
    'ends with the first crash',
    'sample.tries >= rules.tries',
    'true',
    'a process: that is dead has tries left',
  ),
  inVerdict(
    'knows no crash loop',
    '!sample.alive && !sample.starting && sample.tries >= rules.tries',
    'false',
    'a process: that ended at each of its tries is a crash loop',
  ),
  inVerdict(
    'calls a flap a crash loop',
    'return trial.wasHealthy\n',
    'return false\n',
    'a process: that was healthy and ended again and again is a flap',
  ),
  inVerdict(
    'calls a crash loop a flap',
    'return trial.wasHealthy\n',
    'return true\n',
    'a process: that ended at each of its tries is a crash loop',
  ),
  inTrial(
    'forgets that it was healthy',
    'wasHealthy: healthyMs > 0',
    'wasHealthy: false',
    'a process: that was healthy before the judge was killed is a flap',
  ),
  inVerdict(
    'does not wait for the last try',
    '!sample.starting && ',
    '',
    'a process: whose last try is only about to start is not over',
  ),
  inVerdict(
    'does not count tries of what lives',
    '!sample.alive && !sample.starting &&',
    '!sample.starting &&',
    'a process: whose last try comes up may pass',
  ),
  inVerdict(
    'has no deadline',
    'deadlineUsedMs(trial, rules.migrationMs) >= rules.deadlineMs',
    'false',
    'a deadline: ends what was not healthy for long enough',
  ),
  inTrial(
    'has a deadline for each judge',
    '    usedMs,\n    migratingMs,\n    start,',
    '    usedMs: 0,\n    migratingMs,\n    start,',
    'a deadline: counts the time of the judge before',
  ),
  inVerdict(
    'ends early',
    'deadlineUsedMs(trial, rules.migrationMs) >= rules.deadlineMs',
    'deadlineUsedMs(trial, rules.migrationMs) + 1_000 >= rules.deadlineMs',
    'a deadline: is not missed a look before',
  ),
  inVerdict(
    'looks at the deadline first',
    'if (obstacle === null && wasLongEnough) return',
    'if (obstacle === null && wasLongEnough && trial.usedMs < rules.deadlineMs) return',
    'a deadline: is met by whoever is healthy in its last look',
  ),
  inVerdict(
    'does not count boots',
    'if (sample.outOfBoots)',
    'if (sample.outOfBoots && rules.tries < 0)',
    'power: that failed too often gives no verdict on the version',
  ),
  inVerdict(
    'does not miss the record',
    'if (sample.countLost)',
    'if (sample.countLost && rules.tries < 0)',
    'power: that took the record of the tries gives none either',
  ),
];
