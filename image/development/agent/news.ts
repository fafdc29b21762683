import { z } from 'zod';
import type { HealthAnswer } from '../../../protocol/health.ts';
import { wordOf } from '../../../protocol/wire-enum.ts';
import { agentByHandTexts } from '../../texts.ts';

/** The same is not told again before this. */
const againMs = 30_000;

const lineShape = z.object({
  level: z.number(),
  msg: z.string(),
  duty: z.string().optional(),
  check: z.string().optional(),
  order: z.string().optional(),
  line: z.string().optional(),
  error: z.string().optional(),
  problem: z.string().optional(),
});
const warnLevel = 40;

/** A line of the agent's log for a person; what is no line of its log stays as it is. */
export function logLine(text: string): string {
  const parsed = lineShape.safeParse(json(text));
  if (!parsed.success) return text;
  const { level, msg, duty, check, order, line, error, problem } = parsed.data;
  const who = duty ?? check ?? order;
  const what = line ?? [msg, problem ?? error].filter((one) => one !== undefined).join(': ');
  return `${level >= warnLevel ? '! ' : '  '}${who === undefined ? '' : `${who}: `}${what}`;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

type DutyOf = NonNullable<HealthAnswer['duties']>[number];

/** What is new since the last look, for a person who watches. */
export class News {
  readonly #told = new Map<string, { readonly what: string; readonly atMs: number }>();

  of({ duties = [], checks }: Pick<HealthAnswer, 'duties' | 'checks'>, nowMs: number): string[] {
    const ofChecks = Object.entries(checks).map(([name, status]) => {
      const what = agentByHandTexts.check(name, wordOf(status));
      return { key: `check ${name}`, what, line: what, isRepeated: false };
    });
    const ofDuties = duties.map((duty) => {
      const what = `${wordOf(duty.state)} ${duty.last?.text} ${duty.failures}`;
      return { key: `duty ${duty.name}`, what, line: dutyText(duty), isRepeated: true };
    });
    return [...ofChecks, ...ofDuties].flatMap(({ key, what, line, isRepeated }) => {
      const told = this.#told.get(key);
      if (told?.what === what && !(isRepeated && nowMs - told.atMs >= againMs)) return [];
      this.#told.set(key, { what, atMs: nowMs });
      return [line];
    });
  }
}

function dutyText({ name, state, nextInMs, failures, last }: DutyOf): string {
  const next = nextInMs === null ? agentByHandTexts.notToday : agentByHandTexts.nextIn(seconds(nextInMs));
  const ended =
    last === null
      ? agentByHandTexts.notRunYet
      : wordOf(last.outcome) === 'done'
        ? agentByHandTexts.ran(Math.round(last.tookMs), last.text)
        : agentByHandTexts.failed(failures, firstLine(last.text));
  const word = wordOf(state);
  return agentByHandTexts.duty(name, ended, word === 'open' ? agentByHandTexts.leftAlone(next) : next);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function seconds(ms: number): string {
  const s = ms / 1_000;
  return s < 10 ? s.toFixed(1) : String(Math.round(s));
}
