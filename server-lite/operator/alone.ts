import { z } from 'zod';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import type { Core } from '../core.ts';
import { logTexts } from '../texts.ts';

/** One of many views: if it cannot be shown, only this one is affected, and is named. */
export function alone<View>(
  core: Pick<Core, 'log'>,
  what: string,
  work: () => View,
  otherwise: (why: string) => View,
): View {
  try {
    return work();
  } catch (error) {
    core.log.error(error, logTexts.notShown(what));
    return otherwise(logTexts.itIsNotShown(whyOf(error)));
  }
}

function whyOf(error: unknown): string {
  if (error instanceof z.ZodError) return shapeProblem(error);
  return error instanceof Error ? error.message : String(error);
}
