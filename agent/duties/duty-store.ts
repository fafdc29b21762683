import type { Database } from 'better-sqlite3';
import { z } from 'zod';
import { type DutyProgress, noProgress } from './progress-of-duty.ts';
import type { DutyStore } from './scheduler-parts.ts';

/** Duties that earlier and later versions had are remembered, up to so many in all. */
const dutiesMax = 2_000;
const momentShape = z.object({ boot: z.string(), monoMs: z.number() });
const count = z.int().min(0);
const progressShape = z.object({
  attempts: count,
  failures: count,
  opened: count,
  open: z.object({ since: momentShape, forMs: z.number().min(0) }).nullable(),
  runningSince: momentShape.nullable(),
  last: z
    .object({ at: momentShape, tookMs: z.number(), outcome: z.enum(['done', 'failed']), error: z.string() })
    .nullable(),
  taken: z.string(),
});

/** The progress of duties in state.db. A row that nobody could have written begins anew. */
export function dutyStoreIn(database: Database): DutyStore {
  const find = database.prepare<[string], { progress: string }>('SELECT progress FROM duties WHERE name = ?');
  const write = database.prepare<[string, string]>('INSERT OR REPLACE INTO duties (name, progress) VALUES (?, ?)');
  const size = database.prepare<[], { size: number }>('SELECT count(*) AS size FROM duties');
  const forget = database.prepare<[string, number]>(
    'DELETE FROM duties WHERE name IN (SELECT name FROM duties WHERE name <> ? LIMIT max(0, ?))',
  );
  return {
    read: (name) => parse(find.get(name)?.progress),
    write: database.transaction((name: string, progress: DutyProgress) => {
      const isNew = find.get(name) === undefined;
      write.run(name, JSON.stringify(progress));
      if (isNew) forget.run(name, (size.get()?.size ?? 0) - dutiesMax);
    }),
  };
}

function parse(text: string | undefined): DutyProgress {
  if (text === undefined) return noProgress;
  try {
    const parsed = progressShape.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : noProgress;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return noProgress;
  }
}
