import type { Database } from 'better-sqlite3';
import { dutyTexts } from '../texts.ts';
import type { Row } from '../threads/made.ts';

/** What one piece of work keeps in its table; beyond it the oldest rows go. */
export interface TableBounds {
  readonly rows: number;
  readonly chars: number;
}
const usualBounds: TableBounds = { rows: 100_000, chars: 20_000_000 };
/** What one question is answered with: rows, and characters of JSON. */
const answerRowsMax = 1_000;
const answerCharsMax = 200_000;
/** This part of the rows goes at a time, the oldest. */
const removedPart = 1 / 1_000;

interface Stored {
  readonly n: number;
  readonly row: string;
}
interface Size {
  readonly rows: number;
  readonly chars: number;
}

/** Rows of one piece of work, in state.db. Nothing else of the agent writes them, so their number is kept in memory. */
export class WorkTable {
  readonly #database: Database;
  readonly #owner: string;
  readonly #bounds: TableBounds;
  #size: Size | null = null;

  constructor(database: Database, owner: string, bounds = usualBounds) {
    this.#database = database;
    this.#owner = owner;
    this.#bounds = bounds;
  }

  /** @returns the row's number */
  add(row: unknown): number {
    const json = JSON.stringify(row) ?? 'null';
    if (json.length > this.#bounds.chars) throw new RangeError(dutyTexts.valuesTooLarge(this.#bounds.chars));
    const { rows, chars } = this.#sized();
    const add = this.#database.transaction(() => {
      const insert = this.#database.prepare('INSERT INTO duty_rows (duty, row) VALUES (?, ?)');
      const n = Number(insert.run(this.#owner, json).lastInsertRowid);
      let size = { rows: rows + 1, chars: chars + json.length };
      while (size.rows > this.#bounds.rows || size.chars > this.#bounds.chars) {
        const gone = this.#removeOldest();
        size = { rows: size.rows - gone.rows, chars: size.chars - gone.chars };
      }
      return { n, size };
    });
    const { n, size } = add.immediate();
    this.#size = size;
    return n;
  }

  /** Oldest first. */
  rows(after: number, limit = answerRowsMax): Row[] {
    return answerOf(
      this.#database
        .prepare<[string, number, number], Stored>(
          'SELECT n, row FROM duty_rows WHERE duty = ? AND n > ? ORDER BY n LIMIT ?',
        )
        .iterate(this.#owner, after, Math.min(limit, answerRowsMax)),
    );
  }

  newest(limit: number): Row[] {
    return answerOf(
      this.#database
        .prepare<[string, number], Stored>('SELECT n, row FROM duty_rows WHERE duty = ? ORDER BY n DESC LIMIT ?')
        .iterate(this.#owner, Math.min(limit, answerRowsMax)),
    );
  }

  removeUpTo(n: number): void {
    const { rows, chars } = this.#sized();
    const remove = this.#database.transaction(() => {
      const gone = sizeOf(this.#database, this.#owner, n);
      this.#database.prepare('DELETE FROM duty_rows WHERE duty = ? AND n <= ?').run(this.#owner, n);
      return { rows: rows - gone.rows, chars: chars - gone.chars };
    });
    this.#size = remove.immediate();
  }

  count(): number {
    return this.#sized().rows;
  }

  #sized(): Size {
    this.#size ??= sizeOf(this.#database, this.#owner, Number.MAX_SAFE_INTEGER);
    return this.#size;
  }

  #removeOldest(): Size {
    const removed = this.#database
      .prepare<[string, number], { chars: number }>(
        `DELETE FROM duty_rows WHERE n IN (SELECT n FROM duty_rows WHERE duty = ? ORDER BY n LIMIT ?)
         RETURNING length(row) AS chars`,
      )
      .all(this.#owner, Math.ceil(this.#bounds.rows * removedPart));
    return { rows: removed.length, chars: removed.reduce((sum, { chars }) => sum + chars, 0) };
  }
}

function answerOf(found: Iterable<Stored>): Row[] {
  const rows: Row[] = [];
  let chars = 0;
  for (const { n, row } of found) {
    chars += row.length;
    if (chars > answerCharsMax && rows.length > 0) break;
    rows.push({ n, row: JSON.parse(row) });
  }
  return rows;
}

function sizeOf(database: Database, owner: string, upTo: number): Size {
  const found = database
    .prepare<[string, number], Size>(
      'SELECT count(*) AS rows, coalesce(sum(length(row)), 0) AS chars FROM duty_rows WHERE duty = ? AND n <= ?',
    )
    .get(owner, upTo);
  return found ?? { rows: 0, chars: 0 };
}
