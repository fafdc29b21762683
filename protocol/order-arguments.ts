import { z } from 'zod';
import { logLevels } from './agent-settings.ts';

/** The arguments of a `diagnostic`: the digest of all readings up to a number. */
export const diagnosticArgumentsShape = z.object({
  query: z.literal('readings'),
  upTo: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
});

/** For people: the arguments of a `diagnostic`. */
export const diagnosticArgumentsText = 'a diagnostic needs query=readings and upTo=NUMBER';

/** The argument of a `run-duty`: the duty's name. */
export const dutyArgumentsShape = z.object({ duty: z.string().min(1).max(40) });

/** For people: the argument of a `run-duty`. */
export const dutyArgumentsText = 'a run-duty needs duty=NAME';

/** The arguments of a `run-order`: the name of an order that the release's maker defined; the rest is for that order. */
export const madeOrderArgumentsShape = z.object({ order: z.string().min(1).max(40) }).catchall(z.string());

/** For people: the argument of a `run-order`. */
export const madeOrderArgumentsText = 'a run-order needs order=NAME';

/** The argument of a `log-level`. */
export const logLevelArgumentsShape = z.object({ level: z.enum(logLevels) });

/** For people: the argument of a `log-level`. */
export const logLevelArgumentsText = `a log-level needs level=${logLevels.join(', ')}`;

/**
 * Why an order of this kind cannot be carried out with these arguments; null: it can. The agent checks a diagnostic
 * further.
 */
export function argumentsProblem(kind: string, args: Readonly<Record<string, string>>): string | null {
  if (kind === 'diagnostic') {
    return diagnosticArgumentsShape.safeParse(args).success ? null : diagnosticArgumentsText;
  }
  if (kind === 'run-duty') return dutyArgumentsShape.safeParse(args).success ? null : dutyArgumentsText;
  if (kind === 'run-order') return madeOrderArgumentsShape.safeParse(args).success ? null : madeOrderArgumentsText;
  if (kind === 'log-level') return logLevelArgumentsShape.safeParse(args).success ? null : logLevelArgumentsText;
  const [first] = Object.keys(args);
  return first === undefined ? null : `${kind} takes no arguments, and ${first} was given`;
}
