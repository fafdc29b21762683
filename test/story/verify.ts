import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { exitDone, exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { printable } from '../../protocol/printable.ts';
import { type Observations, observationsShape } from './observations.ts';
import { failedChecks } from './verdict.ts';

/**
 * `node test/story/verify.ts FILE`: the story's checks over what a run has seen (observations.json, among its logs).
 * Prints a line for each check that does not hold. Ends with 0 when all hold, 1 when one does not, 2 without a file of
 * observations.
 */

function readObservations(file: string): Observations | null {
  try {
    return observationsShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const isFile = error instanceof SyntaxError || error instanceof z.ZodError;
    if (!isFile && !(error instanceof Error && 'code' in error)) throw error;
    process.stderr.write(printable(`${file} is not what a story has seen: ${error.message}\n`));
    return null;
  }
}

const [file] = process.argv.slice(2);
const seen = file === undefined ? null : readObservations(file);
if (seen === null) {
  process.stderr.write(printable('node test/story/verify.ts FILE, with the observations.json of a story\n'));
  process.exitCode = exitUsage;
} else {
  const failed = failedChecks(seen);
  for (const { name, wrong } of failed) process.stdout.write(printable(`${name}: ${wrong}\n`));
  process.exitCode = failed.length > 0 ? exitFailed : exitDone;
}
