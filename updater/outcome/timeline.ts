import { join } from 'node:path';
import { z } from 'zod';
import { evidenceLimits, type TimelineMark } from '../../protocol/evidence.ts';
import type { Row, StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceFile } from '../effects/durable.ts';
import { readKeptBytes } from '../effects/kept-file.ts';
import { outcomeTexts } from '../words/texts.ts';

/**
 * When the transaction in flight reached each of its rows, across restarts of the updater and reboots; for people. No
 * decision reads it, and no fault in it ends anything.
 */

const linesMax = 64;
const bytesMax = 64 * 1024;
const lineShape = z.object({ tx: z.int(), row: z.string().max(20), boot: z.string().max(64), monoMs: z.number() });
type Line = z.infer<typeof lineShape>;

/** The agent stands still in these rows: their marks reach the disk with the next one. */
const standstill: ReadonlySet<Row> = new Set(['quiesced', 'snapped', 'armed']);

type Place = Pick<Appliance, 'files' | 'layout' | 'clock' | 'log'>;

function pathOf({ layout }: Pick<Appliance, 'layout'>): string {
  return join(layout.updater, 'timeline.jsonl');
}

function read(place: Pick<Appliance, 'files' | 'layout'>, tx: number): Line[] {
  const text = readKeptBytes(place.files, pathOf(place), bytesMax)?.toString('utf8') ?? '';
  return text.split('\n').flatMap((line) => {
    const parsed = lineShape.safeParse(parseOrNull(line));
    return parsed.success && parsed.data.tx === tx ? [parsed.data] : [];
  });
}

/** A power cut may leave half a line. */
function parseOrNull(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function write(place: Place, lines: readonly Line[]): void {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  replaceFile(place.files, pathOf(place), Buffer.from(text), 0o600);
}

/** Notes that a row was reached; called when the row is on disk. */
export function markRow(place: Place, state: StateBody): void {
  const { transaction, row } = state;
  if (transaction === null) return;
  const { files, clock, log } = place;
  const line: Line = { tx: transaction.tx, row, boot: clock.bootId(), monoMs: clock.monoMs() };
  try {
    const before = read(place, transaction.tx);
    if (before.length === 0 || before.length >= linesMax) {
      // People ask for the beginning and the newest marks.
      write(place, [...(before.length < linesMax ? before : [...before.slice(0, 8), ...before.slice(-32)]), line]);
      return;
    }
    const handle = files.openWrite(pathOf(place));
    try {
      files.write(handle, Buffer.from(`${JSON.stringify(line)}\n`), files.statHandle(handle).size);
      if (!standstill.has(row)) files.sync(handle);
    } finally {
      files.close(handle);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(outcomeTexts.timelineUnwritable(error.message));
  }
}

/** The rows of a transaction, in order. */
export function timelineOf(place: Pick<Appliance, 'files' | 'layout'>, tx: number): TimelineMark[] {
  const lines = read(place, tx);
  const boots = [...new Set(lines.map(({ boot }) => boot))];
  const marks = lines.map(({ row, boot, monoMs }) => {
    const first = lines.find((line) => line.boot === boot)?.monoMs ?? monoMs;
    return { row, bootsBefore: boots.indexOf(boot), ms: Math.max(0, Math.round(monoMs - first)) };
  });
  const half = evidenceLimits.rowsMax / 2;
  return marks.length <= evidenceLimits.rowsMax ? marks : [...marks.slice(0, half), ...marks.slice(-half)];
}
