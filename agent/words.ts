import type { Database } from 'better-sqlite3';

/** Words by name in outbox.db: what no rollback takes back. */
export class Words {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(name: string): string | null {
    const row = this.#database.prepare<[string], { value: string }>('SELECT value FROM words WHERE name = ?');
    return row.get(name)?.value ?? null;
  }

  set(name: string, value: string): void {
    this.#database.prepare('INSERT OR REPLACE INTO words (name, value) VALUES (?, ?)').run(name, value);
  }
}
