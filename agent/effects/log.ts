import { pino } from 'pino';
import { printable } from '../../protocol/printable.ts';
import type { Log } from './effects.ts';

/** Lines that a `collect-logs` order can return. */
const recentLinesMax = 200;

/** Writes each message as one line of JSON to standard output, and keeps the last lines in memory. */
export function openLog(output: NodeJS.WritableStream): {
  readonly log: Log;
  readonly recent: () => readonly string[];
} {
  const lines: string[] = [];
  // A log that has no reader (EPIPE) must not stop the appliance's work.
  output.on('error', () => undefined);
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    {
      write(written: string) {
        const line = printable(written);
        lines.push(line.trimEnd());
        if (lines.length > recentLinesMax) lines.shift();
        output.write(line);
      },
    },
  );
  return { log, recent: () => lines };
}
