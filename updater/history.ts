import { dirname } from 'node:path';
import type { Layout } from '../protocol/layout.ts';
import { type TransactionLine, transactionLineShape } from '../protocol/status.ts';
import { readFile, replaceFile, whereThereIsRoom } from './effects/durable.ts';
import type { Files } from './effects/files.ts';

/** Lines that are kept, for people; no decision reads them. */
const linesMax = 200;
const bytesMax = 1024 * 1024;

/** The ended transactions, oldest first. A line that does not parse is left out. */
export function readHistory(files: Files, layout: Layout): TransactionLine[] {
  const text = readFile(files, layout.history, bytesMax)?.toString('utf8') ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const parsed = transactionLineShape.safeParse(parseLine(line));
      return parsed.success ? [parsed.data] : [];
    });
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Adds the line of a transaction, or replaces the one that a repeated step wrote before; on a full disk it is left out. */
export function writeHistory(files: Files, layout: Layout, line: TransactionLine): void {
  const kept = readHistory(files, layout).filter((other) => other.tx !== line.tx);
  const outcome = (one: TransactionLine) => (typeof one.outcome === 'string' ? one.outcome : one.outcome.raw);
  const text = [...kept, line].slice(-linesMax).map((one) => JSON.stringify({ ...one, outcome: outcome(one) }));
  whereThereIsRoom(() => {
    files.makeDirectory(dirname(layout.history), 0o700);
    replaceFile(files, layout.history, Buffer.from(`${text.join('\n')}\n`), 0o600);
  });
}
