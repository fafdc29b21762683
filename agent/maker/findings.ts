import { z } from 'zod';
import { type CheckStatus, checkStatuses } from '../../protocol/health.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import type { Duty, RunOutcome } from '../duties/definition.ts';
import { usualBudget } from '../duties/definition.ts';
import { dutyTexts } from '../texts.ts';
import type { Finding } from '../threads/made.ts';
import type { DescribedCheck } from './work-shapes.ts';

const findingShape: z.ZodType<Finding> = z.object({
  status: z.enum(checkStatuses),
  sentence: z.string().min(1).max(300),
  value: z.number().optional(),
  unit: z.string().max(20).optional(),
  next: z.string().max(300).optional(),
});

interface Found {
  readonly finding: Finding;
  readonly monoMs: number;
}

/** What the checks of a maker found last. */
export class Findings {
  readonly #described: readonly DescribedCheck[];
  readonly #found = new Map<string, Found>();
  readonly #monoMs: () => number;

  constructor(described: readonly DescribedCheck[], monoMs: () => number) {
    this.#described = described;
    this.#monoMs = monoMs;
  }

  /** The check's run as a duty: what it returns is noted, and a run that failed is `unknown`. */
  duty(described: DescribedCheck, run: Duty['run']): Duty {
    const { name, everyMs, timeoutMs } = described;
    return {
      name,
      schedule: { everyMs },
      budget: { ...usualBudget, timeoutMs, attempts: 1 },
      run: async (signal) => {
        const outcome = checked(await run(signal));
        this.#found.set(name, { finding: findingIn(outcome), monoMs: this.#monoMs() });
        return outcome;
      },
    };
  }

  statuses(): Record<string, CheckStatus> {
    return Object.fromEntries(this.#described.map((described) => [described.name, this.#of(described).status]));
  }

  /** By the check's name. */
  sentences(): Record<string, string> {
    return Object.fromEntries(this.#described.map((described) => [described.name, textOf(this.#of(described))]));
  }

  #of(described: DescribedCheck): Finding {
    const found = this.#found.get(described.name);
    if (found === undefined) return { status: 'unknown', sentence: dutyTexts.notLookedYet };
    const isLate = this.#monoMs() - found.monoMs > 3 * described.everyMs + described.timeoutMs;
    return isLate ? { status: 'unknown', sentence: dutyTexts.lookedLongAgo } : found.finding;
  }
}

function checked(outcome: RunOutcome): RunOutcome {
  if (outcome.outcome === 'failed') return outcome;
  const parsed = findingShape.safeParse(outcome.result);
  if (parsed.success) return { outcome: 'done', result: parsed.data };
  return { outcome: 'failed', code: 'threw', error: dutyTexts.noFinding(shapeProblem(parsed.error)) };
}

function findingIn(outcome: RunOutcome): Finding {
  if (outcome.outcome === 'done') return outcome.result as Finding;
  const [first = ''] = outcome.error.split('\n');
  return { status: 'unknown', sentence: dutyTexts.lookFailed(outcome.code, first) };
}

function textOf({ sentence, value, unit, next }: Finding): string {
  const measured = value === undefined ? '' : ` (${[String(value), unit].filter(Boolean).join(' ')})`;
  return `${sentence}${measured}${next === undefined ? '' : ` ${next}`}`;
}
