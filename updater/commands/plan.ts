import { resolve } from 'node:path';
import { ageTyped } from '../age-word.ts';
import { type CommandLine, exitFailed, exitOk, fail, say, usage } from '../command-line.ts';
import { filesUnchanged } from '../effects/files-unchanged.ts';
import { IdentityError } from '../identity.ts';
import { lookAhead } from '../look-ahead.ts';
import { lookBack } from '../look-back.ts';
import type { Plan } from '../plan.ts';
import { openAppliance } from '../run.ts';

/** What the updater would do now. Nothing is changed, and no run is held up. */
export async function plan(line: CommandLine, file: string | undefined): Promise<number> {
  const { rollback, 'data-age': typed } = line.options;
  const ageH = typed === undefined ? null : ageTyped(typed);
  if (typed !== undefined && ageH === null) return usage(line, `--data-age needs an age like 7h or 5d, not ${typed}`);
  if (rollback ? file !== undefined : typed !== undefined)
    return usage(line, 'plan takes a FILE, or --rollback, to which --data-age belongs');
  try {
    const appliance = openAppliance({ ...line, files: filesUnchanged(line.files) }, line.complain);
    const made = rollback
      ? lookBack(appliance, ageH)
      : await lookAhead(appliance, file === undefined ? null : resolve(file));
    say(line, textOf(made), made);
    return made.outcome === 'refused' || made.outcome === 'unknown' ? exitFailed : exitOk;
  } catch (error) {
    if (error instanceof IdentityError) return fail(line, error.code, error.message, 'Run setup first.');
    const isDenied = error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
    if (!isDenied) throw error;
    return fail(line, 'not-allowed', 'only root can read what a plan is made of', 'Run it as root.');
  }
}

const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`;

function textOf(made: Plan): string {
  const { bytes, downtime, trial, steps } = made;
  const reasons = made.reasons.map(({ code, sentence, next }) => `  ${code}: ${sentence} ${next}`);
  const width = Math.max(0, ...steps.map(({ row }) => row.length));
  const rows = steps.map(({ row, does, slot, files, bytes: moved }) => {
    const facts = [
      ...(slot === null ? [] : [`slot ${slot}`]),
      ...(files === null ? [] : [`${files} files`]),
      ...(moved === null ? [] : [megabytes(moved)]),
    ];
    return `  ${row.padEnd(width)}  ${does}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
  });
  return [
    made.sentence,
    ...reasons,
    ...rows,
    ...numbers(bytes, downtime, trial),
    ...(made.ifItFails === null ? [] : [`If it fails: ${made.ifItFails}`]),
  ].join('\n');
}

function numbers(bytes: Plan['bytes'], downtime: Plan['downtime'], trial: Plan['trial']): string[] {
  const lines: string[] = [];
  if (bytes !== null) {
    const { toFetch, reused, written, reserved } = bytes;
    lines.push(
      `Bytes: ${megabytes(toFetch)} to fetch, ${megabytes(reused)} reused from what is here, ${megabytes(written)} written, ${megabytes(reserved)} reserved.`,
    );
  }
  if (downtime !== null) {
    const { expectedMs, measured, stateBytes } = downtime;
    const expected =
      expectedMs === null
        ? 'unknown, nothing was measured here yet'
        : `about ${expectedMs} ms, as in ${measured} switches before`;
    lines.push(`Downtime: ${expected}; ${megabytes(stateBytes)} of state are copied in it.`);
  }
  if (trial !== null) {
    const how = trial.shortened ? ", shortened by this appliance's own settings" : '';
    lines.push(`Trial: ${trial.healthyMs / 1000} s of healthy time within ${trial.deadlineMs / 1000} s${how}.`);
  }
  return lines;
}
