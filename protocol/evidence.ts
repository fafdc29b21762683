import { z } from 'zod';
import { type Exit, exitShape } from './exit.ts';

/** What was seen of a version that failed its trial: kept on the appliance, sent with its rollback, shown by whoever tells of it. */

/** Characters of the last output that travel (head and tail; the whole stays on the appliance), checks, and rows. */
export const evidenceLimits = { outputMax: 1_200, checksMax: 16, rowsMax: 24 } as const;
/** Characters of {@link evidenceSummary}. */
const summaryMax = 160;
const wordsMax = 80;

const checkDifferenceShape = z.object({
  check: z.string().max(40),
  before: z.string().max(16),
  last: z.string().max(16),
});
/** `bootsBefore`: boots that this transaction had seen by then; `ms`: since its first row in that boot. */
const markShape = z.object({ row: z.string().max(20), bootsBefore: z.int().min(0), ms: z.number().min(0) });
export type TimelineMark = z.infer<typeof markShape>;

export const evidenceShape = z.object({
  /** null: it did not end by itself, or nobody saw how. */
  exit: exitShape.nullable().default(null),
  output: z.string().max(4_000).default(''),
  /** Checks that were not at the end what they were before the switch. */
  checks: z.array(checkDifferenceShape).max(evidenceLimits.checksMax).default([]),
  /** Could the agent reach the server before and at the end, and could the updater? */
  server: z
    .object({ before: z.string().max(16), last: z.string().max(16), byUpdater: z.boolean().nullable() })
    .nullable()
    .default(null),
  timeline: z.array(markShape).max(evidenceLimits.rowsMax).default([]),
});
export type Evidence = z.infer<typeof evidenceShape>;

function exitText(exit: Exit | null): string | null {
  return exit === null ? null : `its last exit was ${exit.signal ?? `code ${exit.code}`}`;
}

function serverText({ server }: Evidence): string | null {
  // What does not answer any more says nothing of the server.
  if (server?.last !== 'fail' || server.before === 'fail') return null;
  const updater =
    server.byUpdater === null ? '' : `, and the updater ${server.byUpdater ? 'could' : 'could not either'}`;
  return `it could not reach the server at the end${updater}`;
}

/** In one sentence; empty when nothing was seen. The same on page, command line and server. */
export function evidenceSummary(evidence: Evidence): string {
  const lines = evidence.output.trim().split('\n');
  // Node ends what it prints of an error with its own version; the error itself tells more.
  const words = (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? '').slice(0, wordsMax);
  const parts = [
    exitText(evidence.exit),
    ...evidence.checks.map(({ check, before, last }) => `${check} was ${before} before and ${last} at the end`),
    serverText(evidence),
    words === '' ? null : `it said last: ${words}`,
  ].filter((part) => part !== null);
  const text = parts.join('; ').slice(0, summaryMax);
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** All of it but the output, a line each, as every place that tells of it shows it. */
export function evidenceLines(evidence: Evidence): string[] {
  const checks = evidence.checks.map(({ check, before, last }) => `${check}: ${before} → ${last}`);
  const { server } = evidence;
  const byUpdater =
    server?.byUpdater === undefined || server.byUpdater === null ? 'unknown' : server.byUpdater ? 'ok' : 'fail';
  const timeline = timelineText(evidence);
  return [
    `last exit: ${evidence.exit === null ? 'none was seen' : (evidence.exit.signal ?? `code ${evidence.exit.code}`)}`,
    `checks: ${checks.join(', ') || 'none was another than before'}`,
    ...(server === null ? [] : [`server: ${server.before} → ${server.last} (by the updater: ${byUpdater})`]),
    ...(timeline === '' ? [] : [`timeline: ${timeline}`]),
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
