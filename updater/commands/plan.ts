import { resolve } from 'node:path';
import { exitDone, exitFailed } from '../../protocol/exit-status.ts';
import { inLines } from '../../protocol/printable.ts';
import { type CommandLine, fail, say, usage } from '../effects/command-line.ts';
import { filesUnchanged } from '../effects/files-unchanged.ts';
import { IdentityError } from '../identity/identity.ts';
import { openAppliance } from '../run/run.ts';
import { ageTyped } from '../words/age-word.ts';
import { planTexts } from '../words/texts.ts';
import { lookAhead } from './plan/look-ahead.ts';
import { lookBack } from './plan/look-back.ts';
import type { Plan } from './plan/plan.ts';

/** What the updater would do now. It changes nothing and delays no run. */
export async function plan(line: CommandLine, file: string | undefined): Promise<number> {
  const { rollback, 'data-age': typed } = line.options;
  const ageH = typed === undefined ? null : ageTyped(typed);
  if (typed !== undefined && ageH === null) return usage(line, planTexts.notAnAge(typed));
  if (rollback ? file !== undefined : typed !== undefined) return usage(line, planTexts.planWords);
  try {
    const appliance = openAppliance({ ...line, files: filesUnchanged(line.files) }, line.complain);
    const made = rollback
      ? lookBack(appliance, ageH)
      : await lookAhead(appliance, file === undefined ? null : resolve(file));
    say(line, planText(made), made);
    return made.outcome === 'refused' || made.outcome === 'unknown' ? exitFailed : exitDone;
  } catch (error) {
    if (error instanceof IdentityError) return fail(line, error.code, error.message, planTexts.setupFirst);
    const isDenied = error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
    if (!isDenied) throw error;
    return fail(line, 'not-allowed', planTexts.onlyRoot, planTexts.onlyRootNext);
  }
}

const megabytes = (bytes: number) => planTexts.megabytes((bytes / 1_000_000).toFixed(1));

export function planText(made: Plan): string {
  const { bytes, downtime, trial, steps } = made;
  const reasons = made.reasons.map(({ code, sentence, next }) =>
    sentence === made.sentence ? `  ${code}: ${next}` : `  ${code}: ${sentence} ${next}`,
  );
  const width = Math.max(0, ...steps.map(({ row }) => row.length));
  const rows = steps.map(({ row, does, slot, files, bytes: moved }) => {
    const facts = [
      ...(slot === null ? [] : [planTexts.slot(slot)]),
      ...(files === null ? [] : [planTexts.files(files)]),
      ...(moved === null ? [] : [megabytes(moved)]),
    ];
    return `  ${row.padEnd(width)}  ${does}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
  });
  return inLines([
    made.sentence,
    ...reasons,
    ...rows,
    ...numbers(bytes, downtime, trial),
    ...(made.ifItFails === null ? [] : [planTexts.ifItFails(made.ifItFails)]),
  ]);
}

function numbers(bytes: Plan['bytes'], downtime: Plan['downtime'], trial: Plan['trial']): string[] {
  const lines: string[] = [];
  if (bytes !== null) {
    const { toFetch, reused, written, reserved } = bytes;
    lines.push(planTexts.bytes(megabytes(toFetch), megabytes(reused), megabytes(written), megabytes(reserved)));
  }
  if (downtime !== null) {
    const { expectedMs, measured, stateBytes } = downtime;
    const expected = expectedMs === null ? planTexts.downtimeUnknown : planTexts.downtimeMeasured(expectedMs, measured);
    lines.push(planTexts.downtime(expected, megabytes(stateBytes)));
  }
  if (trial !== null) {
    const how = trial.shortened ? planTexts.shortened : '';
    lines.push(planTexts.trial(trial.healthyMs / 1000, trial.deadlineMs / 1000, how));
  }
  return lines;
}
