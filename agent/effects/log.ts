import { pino } from 'pino';
import type { Log } from './effects.ts';

/** Lines that a `collect-logs` order can look back on. */
const recentLinesMax = 200;

/** One JSON line a thing on standard output, and the last lines in memory. */
export function openLog(output: NodeJS.WritableStream): {
  readonly log: Log;
  readonly recent: () => readonly string[];
} {
  const lines: string[] = [];
  // A log that nobody reads any more (EPIPE) is no reason to stop the appliance's work.
  output.on('error', () => undefined);
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    {
      write(line: string) {
        lines.push(line.trimEnd());
        if (lines.length > recentLinesMax) lines.shift();
        output.write(line);
      },
    },
  );
  return { log, recent: () => lines };
}
