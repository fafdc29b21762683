import { dirname } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { type TransactionLine, transactionLineShape } from '../../protocol/status.ts';
import { replaceFile, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKeptBytes, setAside } from '../effects/kept-file.ts';

/** Lines kept, for people; no decision reads them. */
const linesMax = 200;
const bytesMax = 1024 * 1024;

/** The ended transactions, oldest first. A line that does not parse is left out. */
export function readHistory(files: Files, layout: Layout): TransactionLine[] {
  const text = readKeptBytes(files, layout.history, bytesMax)?.toString('utf8') ?? '';
  const written = text.split('\n').filter((line) => line !== '');
  const lines = written.flatMap((line) => {
    const parsed = transactionLineShape.safeParse(parseLine(line));
    return parsed.success ? [parsed.data] : [];
  });
  if (lines.length === 0 && written.length > 0) setAside(files, layout.history);
  return lines;
}

/** The line for people: without a sentence about data that was kept, and is no longer there. */
export function withoutGone<Line extends TransactionLine>(files: Files, layout: Layout, line: Line): Line {
  const isThere = (sentence: string) => {
    const [, place] = / is kept in (\/\S+?),?(?: until | for |$)/.exec(sentence) ?? [];
    return !place?.startsWith(`${layout.snapshots}/`) || !isGone(files, place);
  };
  const sentences = line.text.split(/(?<=[.…]) (?=\p{Lu})/u);
  return { ...line, text: sentences.filter(isThere).join(' ') };
}

function isGone(files: Files, place: string): boolean {
  try {
    return files.list(place).length === 0;
  } catch (error) {
    // Who may not look there is told what was so.
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Adds the line of a transaction, or replaces the one that a repeated step wrote before; on a full disk it is left out.
 */
export function writeHistory(files: Files, layout: Layout, line: TransactionLine): void {
  const kept = readHistory(files, layout).filter((other) => other.tx !== line.tx);
  const outcome = (one: TransactionLine) => (typeof one.outcome === 'string' ? one.outcome : one.outcome.raw);
  const text = [...kept, line].slice(-linesMax).map((one) => JSON.stringify({ ...one, outcome: outcome(one) }));
  whereThereIsRoom(() => {
    files.makeDirectory(dirname(layout.history), 0o700);
    replaceFile(files, layout.history, Buffer.from(`${text.join('\n')}\n`), 0o600);
  });
}
