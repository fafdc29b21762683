import type { Database } from 'better-sqlite3';
import { z } from 'zod';
import { cut } from '../../protocol/text.ts';
import { dutyTexts } from '../texts.ts';
import { type DutyProgress, noProgress } from './progress-of-duty.ts';
import type { DutyStore } from './scheduler.ts';

/** Duties that earlier and later versions had are remembered, up to so many in all. */
const dutiesMax = 2_000;
/** What one duty may keep: keys, characters of a key, and characters of JSON in all. */
export const valuesMax = 1_000;
const keyCharsMax = 200;
export const valueCharsMax = 1_000_000;

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

/** Values by key of one duty, in state.db. */
export interface DutyValues {
  /** null: there is none. */
  get(key: string): unknown;
  /** @throws RangeError beyond the bounds of one duty */
  set(key: string, value: unknown): void;
  delete(key: string): void;
}

export function dutyValuesIn(database: Database, duty: string): DutyValues {
  const find = database.prepare<[string, string], { value: string }>(
    'SELECT value FROM duty_values WHERE duty = ? AND key = ?',
  );
  const write = database.prepare<[string, string, string]>(
    'INSERT OR REPLACE INTO duty_values (duty, key, value) VALUES (?, ?, ?)',
  );
  const remove = database.prepare<[string, string]>('DELETE FROM duty_values WHERE duty = ? AND key = ?');
  const used = database.prepare<[string, string], { keys: number; chars: number | null }>(
    'SELECT count(*) AS keys, sum(length(key) + length(value)) AS chars FROM duty_values WHERE duty = ? AND key <> ?',
  );
  return {
    get: (key) => {
      const found = find.get(duty, key);
      return found === undefined ? null : JSON.parse(found.value);
    },
    set: database.transaction((key: string, value: unknown) => {
      const json = JSON.stringify(value) ?? 'null';
      if (key.length > keyCharsMax) throw new RangeError(dutyTexts.keyTooLong(cut(key, 40), keyCharsMax));
      const { keys = 0, chars = 0 } = used.get(duty, key) ?? {};
      if (keys >= valuesMax) throw new RangeError(dutyTexts.tooManyValues(valuesMax));
      if ((chars ?? 0) + key.length + json.length > valueCharsMax) {
        throw new RangeError(dutyTexts.valuesTooLarge(valueCharsMax));
      }
      write.run(duty, key, json);
    }),
    delete: (key) => {
      remove.run(duty, key);
    },
  };
}
