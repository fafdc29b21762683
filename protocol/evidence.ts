import { z } from 'zod';
import { type Exit, exitShape } from './exit.ts';
import { cut, lastWord, withFullStop } from './text.ts';

/**
 * What was seen of a version that failed its trial: kept on the appliance, sent with its rollback, and shown with it.
 */

/**
 * Limits of what is sent: characters of the last output (head and tail; all of it stays on the appliance), checks, and
 * rows.
 */
export const evidenceLimits = { outputMax: 1_200, checksMax: 16, rowsMax: 24 } as const;
/** Characters of {@link evidenceSummary}. */
const summaryMax = 240;
const wordsMax = 120;

const checkDifferenceShape = z.object({
  check: z.string().max(40),
  before: z.string().max(16),
  last: z.string().max(16),
});
/** `bootsBefore`: boots that this transaction had seen by then; `ms`: since its first row in that boot. */
const markShape = z.object({ row: z.string().max(20), bootsBefore: z.int().min(0), ms: z.number().min(0) });
export type TimelineMark = z.infer<typeof markShape>;

export const evidenceShape = z.object({
  /** null: it did not end by itself, or its end was not observed. */
  exit: exitShape.nullable().default(null),
  output: z.string().max(4_000).default(''),
  /** Checks whose status at the end differed from before the switch. */
  checks: z.array(checkDifferenceShape).max(evidenceLimits.checksMax).default([]),
  /** Could the agent reach the server before and at the end, and could the updater? */
  server: z
    .object({ before: z.string().max(16), last: z.string().max(16), byUpdater: z.boolean().nullable() })
    .nullable()
    .default(null),
  timeline: z.array(markShape).max(evidenceLimits.rowsMax).default([]),
  /** The file on the appliance that has all of it, from its root. Absent: there was no room for one, or it is older. */
  whole: z.string().max(80).optional(),
});
export type Evidence = z.infer<typeof evidenceShape>;

function exitText(exit: Exit | null): string | null {
  return exit === null ? null : `its last exit was ${exit.signal ?? `code ${exit.code}`}`;
}

function serverText({ server }: Evidence): string | null {
  // An agent that no longer answers says nothing about the server.
  if (server?.last !== 'fail' || server.before === 'fail') return null;
  const updater =
    server.byUpdater === null ? '' : `, and the updater ${server.byUpdater ? 'could' : 'could not either'}`;
  return `it could not reach the server at the end${updater}`;
}

/** In one sentence; empty when nothing was seen. The same on page, command line and server. */
export function evidenceSummary(evidence: Evidence): string {
  const words = cut(lastWord(evidence.output), wordsMax);
  const parts = [
    exitText(evidence.exit),
    ...evidence.checks.map(({ check, before, last }) => `${check} was ${before} before and ${last} at the end`),
    serverText(evidence),
    words === '' ? null : `it said last: ${words}`,
  ].filter((part) => part !== null);
  const text = cut(parts.join('; '), summaryMax);
  return text === '' ? '' : withFullStop(`${text.charAt(0).toUpperCase()}${text.slice(1)}`);
}

/** Everything but the output, one line each, as every place shows it. */
export function evidenceLines(evidence: Evidence): string[] {
  const checks = evidence.checks.map(({ check, before, last }) => `${check}: ${before} → ${last}`);
  const { server } = evidence;
  const byUpdater =
    server?.byUpdater === undefined || server.byUpdater === null ? 'unknown' : server.byUpdater ? 'ok' : 'fail';
  const timeline = timelineText(evidence);
  return [
    `last exit: ${evidence.exit === null ? 'none was seen' : (evidence.exit.signal ?? `code ${evidence.exit.code}`)}`,
    `checks: ${checks.join(', ') || 'none differed from before'}`,
    ...(server === null ? [] : [`server: ${server.before} → ${server.last} (by the updater: ${byUpdater})`]),
    ...(timeline === '' ? [] : [`timeline: ${timeline}`]),
    ...(evidence.whole === undefined ? [] : [`in full: ${evidence.whole} on the appliance`]),
  ];
}

/** `resolved 0.0 s, fetching 0.2 s, after a reboot: trial 0.0 s` */
function timelineText({ timeline }: Evidence): string {
  return timeline
    .map(({ row, bootsBefore, ms }, index) => {
      const reboot = bootsBefore > (timeline[index - 1]?.bootsBefore ?? 0) ? 'after a reboot: ' : '';
      return `${reboot}${row} ${(ms / 1000).toFixed(1)} s`;
    })
    .join(', ');
}
