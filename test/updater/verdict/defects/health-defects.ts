import { type Defect, inComparison, inTrial, inVerdict } from './defect.ts';

const endOfLook = 'const wasLongEnough = trial.healthyMs >= rules.healthyMs;';

export const healthDefects: readonly Defect[] = [
  inVerdict(
    'passes early',
    endOfLook,
    'const wasLongEnough = true;',
    'a trial passes: not a look before its whole healthy time (I6)',
  ),
  inVerdict(
    'passes late',
    endOfLook,
    'const wasLongEnough = trial.healthyMs > rules.healthyMs;',
    'a trial passes: after its whole healthy time',
  ),
  inVerdict(
    'takes a healthy time of its own',
    endOfLook,
    'const wasLongEnough = trial.healthyMs >= 10_000;',
    'a trial passes: with more healthy time where it is asked for',
  ),
  inVerdict(
    'counts time before a first healthy look',
    'trial.unprovenMs === null ? 0 : trial.unprovenMs + sinceMs',
    '(trial.unprovenMs ?? 0) + sinceMs',
    'a trial passes: not for time in which it was not healthy',
  ),
  inVerdict(
    'passes with a check that is worse',
    'if (regressed.length > 0) return',
    'if (regressed.length > 99) return',
    'a check: that was good before may fail for its grace',
  ),
  inVerdict(
    'has no grace',
    'trial.regressedMs > rules.graceMs',
    'trial.regressedMs > 0',
    'a check: that was good before may fail for its grace',
  ),
  inVerdict(
    'knows no regression',
    'trial.regressedMs > rules.graceMs',
    'false',
    'a check: that was good before and fails for longer is a regression',
  ),
  inVerdict(
    'never forgives',
    'regressedMs: regressed.length > 0 ? trial.regressedMs + sinceMs : 0',
    'regressedMs: regressed.length > 0 ? trial.regressedMs + sinceMs : trial.regressedMs',
    'a check: that recovers in time is forgiven, but its time is not healthy',
  ),
  inVerdict(
    'forgets what failed at each start',
    'progress: null, unprovenMs: null, stillMs: 0, silentMs: 0',
    'progress: null, unprovenMs: null, stillMs: 0, silentMs: 0, regressed: [], regressedMs: 0',
    'a check: that failed may not hide behind a new start',
  ),
  inComparison(
    'asks for no baseline',
    'if (baseline === null) return [];',
    "if (baseline === null) return Object.keys(answer.checks).filter((name) => answer.checks[name] === 'fail');",
    'the baseline: is none: no check is a regression',
  ),
  inComparison(
    'takes no warning for good',
    "if (was !== 'ok' && was !== 'warn') return false;",
    "if (was !== 'ok') return false;",
    'a check: that warned before may not fail either',
  ),
  inComparison(
    'compares with what failed',
    "if (was !== 'ok' && was !== 'warn') return false;",
    "if (was === 'unknown') return false;",
    'a check: that failed before may fail',
  ),
  inComparison(
    'takes what was not known for good',
    "if (was !== 'ok' && was !== 'warn') return false;",
    "if (was === 'fail') return false;",
    'a check: of which nothing was known before may fail',
  ),
  inComparison(
    'looks at new checks',
    'return Object.keys(baseline).filter((name) => {',
    "return [...Object.keys(baseline), ...Object.keys(answer.checks)].filter((name) => {\n    if (!(name in baseline)) return answer.checks[name] === 'fail';",
    'a check: that was not there before may fail',
  ),
  inComparison(
    'takes a warning for a failure',
    "return now === 'fail' ||",
    "return now === 'fail' || now === 'warn' ||",
    'a check: that was good may warn',
  ),
  inComparison(
    'takes an unknown word for a failure',
    "return now === 'fail' ||",
    "return now === 'fail' || now === 'unknown' ||",
    'a check: that nobody knows a word of is no regression',
  ),
  inComparison(
    'takes not knowing for a recovery',
    "(now === 'unknown' && before.regressed.includes(name))",
    'false',
    'a check: that failed and is not known any more has not recovered',
  ),
  inTrial(
    'begins anew with each judge',
    'healthyMs,\n    usedMs,',
    'healthyMs: 0,\n    usedMs: 0,',
    'healthy time: goes on over a restart of the judge, to its end',
  ),
  inVerdict(
    'carries healthy time over to the next start',
    'before.start === null ? before.healthyMs : 0',
    'before.healthyMs',
    'healthy time: begins again with a new start',
  ),
  inTrial(
    'does not know whose the time is',
    '    start,\n    progress: null,',
    '    start: null,\n    progress: null,',
    'healthy time: of a start that ended while nobody judged is not that of the next one',
  ),
  inVerdict(
    'takes every start for a new one',
    'if (start === before.start) return',
    'if (start === before.start && before.progress !== null) return',
    'healthy time: of the same start is its own',
  ),
  inTrial(
    'names every start alike',
    'sha256(nonce).slice(0, 16)',
    "sha256(nonce).slice(0, 0).concat('one')",
    'healthy time: begins again with a new start',
  ),
];
