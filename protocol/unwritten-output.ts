import type { SystemProblem } from './system-problem.ts';

/** The end of a program whose output cannot be written: nobody was told what it did. */

/** A program's standard output or error. */
interface Output {
  on(event: 'error', hear: (error: Error & { readonly code?: string }) => void): unknown;
}

/** @returns null: the reader has read enough (`holdfast fleet | head`), and needs no message */
function problemOf({ code = 'unknown' }: { readonly code?: string }): SystemProblem | null {
  if (code === 'EPIPE') return null;
  return {
    code: 'output-not-written',
    message: `the output could not be written (${code})`,
    next: 'make room for it, or send it somewhere else, then do the same again',
  };
}

/**
 * Without this, a full disk or a closed pipe ends a program with a stack trace, or with success.
 * @param complain gets the message, once
 * @param end gives the program its exit status, which must not be 0
 */
export function hearUnwritten(output: Output, complain: (problem: SystemProblem) => void, end: () => void): void {
  let isHeard = false;
  output.on('error', (error) => {
    if (isHeard) return;
    isHeard = true;
    const problem = problemOf(error);
    if (problem !== null) complain(problem);
    end();
  });
}
