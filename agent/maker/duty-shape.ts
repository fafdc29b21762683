import { z } from 'zod';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { calendarProblem } from '../duties/calendar.ts';
import { type Budget, type Duty, ownDuties, usualBudget } from '../duties/definition.ts';
import { dutyTexts } from '../texts.ts';

const hourMs = 60 * 60_000;
const nameShape = z
  .string()
  .max(40)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, dutyTexts.nameShape)
  .refine((name) => !ownDuties.some((own) => own === name), dutyTexts.ownName);

const scheduleShape = z.union([
  z.strictObject({
    everyMs: z
      .int()
      .min(100)
      .max(31 * 24 * hourMs),
    jitter: z.number().min(0).max(0.5).optional(),
  }),
  z.strictObject({ calendar: z.string().max(200), timeZone: z.string().max(60) }),
]);

const budgetShape = z.strictObject({
  timeoutMs: z.int().min(10).max(hourMs),
  attempts: z.int().min(1).max(20),
  retryMs: z.int().min(0).max(hourMs),
  failures: z.int().min(1).max(100),
  openMs: z
    .int()
    .min(1_000)
    .max(24 * hourMs),
});

/** What the agent knows of a duty before any code of its maker runs. */
export const dutyShape = z.object({
  name: nameShape,
  schedule: scheduleShape,
  budget: budgetShape.partial().optional(),
});
export type DescribedDuty = z.infer<typeof dutyShape>;

/** @throws RangeError with the duty's name and what is wrong */
export function requireDuty(duty: unknown): DescribedDuty {
  const parsed = dutyShape.safeParse(duty);
  const called = typeof duty === 'object' && duty !== null && 'name' in duty ? `duty ${String(duty.name)}` : 'a duty';
  if (!parsed.success) throw new RangeError(`${called}: ${shapeProblem(parsed.error)}`);
  const { schedule } = parsed.data;
  const problem = 'calendar' in schedule ? calendarProblem(schedule.calendar, schedule.timeZone) : null;
  if (problem !== null) throw new RangeError(`${called}: ${problem}`);
  return parsed.data;
}

/** The duty as the scheduler takes it, but for its work. */
export function scheduledDuty({ name, schedule, budget = {} }: DescribedDuty): Omit<Duty, 'run'> {
  const given = Object.fromEntries(Object.entries(budget).filter(([, value]) => value !== undefined));
  return { name, schedule: schedule as Duty['schedule'], budget: { ...usualBudget, ...(given as Partial<Budget>) } };
}
