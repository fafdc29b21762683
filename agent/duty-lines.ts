import { type DutyLine, dutyLinesMax, dutyTextMax } from '../protocol/health.ts';
import { cut } from '../protocol/text.ts';
import type { Moment } from './duties/progress-of-duty.ts';
import type { Scheduler } from './duties/scheduler.ts';
import type { DutyView } from './duties/scheduler-parts.ts';

/** What a health answer says of duties. */
export function dutyLines(duties: Scheduler, now: Moment): DutyLine[] {
  return duties.views(dutyLinesMax).map((view) => lineOf(view, now));
}

function lineOf({ name, state, nextInMs, failures, last, result }: DutyView, now: Moment): DutyLine {
  if (last === null) return { name, state, nextInMs, failures, last };
  const { outcome, error, tookMs, at } = last;
  const agoMs = at.boot === now.boot ? Math.max(now.monoMs - at.monoMs, 0) : null;
  const text = cut(outcome === 'failed' ? error : resultText(result), dutyTextMax);
  return { name, state, nextInMs, failures, last: { outcome, agoMs, tookMs, text } };
}

function resultText(result: unknown): string {
  return result === undefined || result === null ? '' : (JSON.stringify(result) ?? '');
}
