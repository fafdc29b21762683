import type { Db } from './database.ts';

export interface Settings {
  read(name: string): string | null;
  write(name: string, value: string): void;
}

/** Single values of the database as a whole: its epoch, the hash of the operator's token. */
export function settingsOf(db: Db): Settings {
  const read = db.prepare<[string], { value: string }>('SELECT value FROM settings WHERE name = ?');
  const write = db.prepare<[string, string]>(
    'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    read: (name) => read.get(name)?.value ?? null,
    write: (name, value) => {
      write.run(name, value);
    },
  };
}
