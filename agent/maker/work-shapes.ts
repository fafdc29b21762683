import { z } from 'zod';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { ownChecks } from '../checks.ts';
import { calendarProblem } from '../duties/calendar.ts';
import { ownDuties } from '../duties/definition.ts';
import { dutyTexts } from '../texts.ts';
import type { MadeKind } from '../threads/made.ts';

const hourMs = 60 * 60_000;
const ownNames: ReadonlySet<string> = new Set([...ownDuties, ...ownChecks]);
const nameShape = z
  .string()
  .max(40)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, dutyTexts.nameShape)
  .refine((name) => !ownNames.has(name), dutyTexts.ownName);

const timeoutMsShape = z.int().min(10).max(hourMs);
const everyMsShape = z
  .int()
  .min(100)
  .max(31 * 24 * hourMs);

const scheduleShape = z.union([
  z.strictObject({ everyMs: everyMsShape, jitter: z.number().min(0).max(0.5).optional() }),
  z.strictObject({ calendar: z.string().max(200), timeZone: z.string().max(60) }),
]);

const budgetShape = z.strictObject({
  timeoutMs: timeoutMsShape,
  attempts: z.int().min(1).max(20),
  retryMs: z.int().min(0).max(hourMs),
  failures: z.int().min(1).max(100),
  openMs: z
    .int()
    .min(1_000)
    .max(24 * hourMs),
});

/** What the agent knows of a maker's work before any code of it runs. */
export const dutyShape = z.object({
  name: nameShape,
  schedule: scheduleShape,
  budget: budgetShape.partial().optional(),
  sees: nameShape.optional(),
});
export type DescribedDuty = z.infer<typeof dutyShape>;

export const checkShape = z.object({
  name: nameShape,
  everyMs: everyMsShape.min(1_000),
  timeoutMs: timeoutMsShape.default(10_000),
  sees: nameShape.optional(),
});
export type DescribedCheck = z.infer<typeof checkShape>;

/** Other orders wait behind it. */
const orderMsMax = 10 * 60_000;
export const orderShape = z.object({
  name: nameShape,
  timeoutMs: timeoutMsShape.max(orderMsMax).default(30_000),
  sees: nameShape.optional(),
});

const fieldNameShape = z
  .string()
  .max(40)
  .regex(/^[a-zA-Z][a-zA-Z0-9_]*$/, dutyTexts.settingNameShape);

export const secretShape = z.object({ name: fieldNameShape, text: z.string().min(1).max(500) });
export type DescribedSecret = z.infer<typeof secretShape>;

export const settingShape = z.object({
  name: fieldNameShape,
  text: z.string().min(1).max(500),
  standard: z.unknown(),
  /** JSON Schema. */
  schema: z.record(z.string(), z.unknown()),
});
export type DescribedSetting = z.infer<typeof settingShape>;

/** @throws RangeError with its name and what is wrong */
export function requireShape<Described>(kind: MadeKind, shape: z.ZodType<Described>, made: unknown): Described {
  const parsed = shape.safeParse(made);
  if (parsed.success) return parsed.data;
  const called = typeof made === 'object' && made !== null && 'name' in made ? `${kind} ${String(made.name)}` : kind;
  throw new RangeError(`${called}: ${shapeProblem(parsed.error)}`);
}

/** @throws RangeError */
export function requireDuty(duty: unknown): DescribedDuty {
  const described = requireShape('duty', dutyShape, duty);
  const { name, schedule } = described;
  const problem = 'calendar' in schedule ? calendarProblem(schedule.calendar, schedule.timeZone) : null;
  if (problem !== null) throw new RangeError(`duty ${name}: ${problem}`);
  return described;
}

/** The maker's own zod may be another copy than the agent's. */
const definedShape = z.object({
  name: z.string(),
  shape: z.custom<z.ZodType>(
    (shape) => typeof shape === 'object' && shape !== null && '_zod' in shape,
    dutyTexts.noShape,
  ),
  standard: z.unknown(),
});

/** @throws RangeError also when JSON Schema cannot say the shape, or the standard does not fit it */
export function requireSetting(made: unknown): DescribedSetting {
  const { name, shape, standard } = requireShape('setting', definedShape, made);
  try {
    const schema = z.toJSONSchema(shape, { io: 'input' });
    const fits = z.fromJSONSchema(schema).safeParse(standard);
    if (!fits.success) throw new RangeError(dutyTexts.standardDoesNotFit(shapeProblem(fits.error)));
    return requireShape('setting', settingShape, { ...(made as object), schema });
  } catch (cause) {
    throw new RangeError(`setting ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
