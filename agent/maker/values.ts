import type { Database } from 'better-sqlite3';
import { cut } from '../../protocol/text.ts';
import { dutyTexts } from '../texts.ts';

/** What one duty may keep: keys, characters of a key, and characters of JSON in all. */
export const valuesMax = 1_000;
const keyCharsMax = 200;
export const valueCharsMax = 1_000_000;

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
