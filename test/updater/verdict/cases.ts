import type { HealthAnswer } from '../../../protocol/health.ts';
import type { KeptTrial, Sample, TrialRules } from '../../../updater/verdict/trial.ts';
import type { Verdict } from '../../../updater/verdict/verdict.ts';

/** The modules that a case is about: those of the checkout, or of a copy in which a defect was planted. */
export interface Modules {
  readonly verdict: typeof import('../../../updater/verdict/verdict.ts');
  readonly trial: typeof import('../../../updater/verdict/trial.ts');
  readonly settings: typeof import('../../../updater/identity/settings.ts');
  readonly deferral: typeof import('../../../updater/verdict/deferral.ts');
}

/** One clause, as one question with its answer. A list is compared whole, of an object what is expected of it. */
export interface Case {
  readonly name: string;
  run(modules: Modules): unknown;
  readonly expected: unknown;
}

export const nonce = 'a'.repeat(64);
export const otherNonce = 'b'.repeat(64);

const rules: TrialRules = {
  version: '1.0.52',
  tries: 3,
  healthyMs: 10_000,
  deadlineMs: 60_000,
  stallMs: 6_000,
  answerMs: 5_000,
  graceMs: 3_000,
  migrationMs: null,
  baseline: { disk: 'ok', clock: 'warn', network: 'fail', memory: 'unknown' },
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

/** One look a second; `for` repeats it. Progress rises by itself where an answer does not say otherwise. */
export type Given = Omit<Partial<Sample>, 'answer'> & { answer?: Partial<HealthAnswer> | null; for?: number };

export interface Around {
  readonly rules?: Partial<TrialRules>;
  readonly kept?: Partial<KeptTrial>;
}

function watch({ verdict: { judge }, trial: { beginTrial } }: Modules, given: readonly Given[], around: Around) {
  const its = { ...rules, ...around.rules };
  let verdict: Verdict = {
    verdict: 'undecided',
    trial: beginTrial(around.kept),
    obstacle: 'nobody looked',
    asksServer: false,
  };
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
        serverTriedMs: 0,
        seen: 2,
        ...changes,
        answer: answer === null ? null : { ...healthy, progress, ...answer },
      });
    }
  }
  return verdict;
}

export function looks(name: string, given: readonly Given[], expected: unknown, around: Around = {}): Case {
  return { name, run: (modules) => watch(modules, given, around), expected };
}

export const passed = { verdict: 'passed' } as const;
export const failed = (reason: string) => ({ verdict: 'failed', reason });
export const undecided = (obstacle: string) => ({ verdict: 'undecided', obstacle });
export const needsTime = undecided('it needs more healthy time');
export const notSeen = 'the server has not seen two check-ins of it';
