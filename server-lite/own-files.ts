import { statSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from './start-error.ts';
import { startTexts } from './texts.ts';

/** What the server opens by its name. SQLite says of a directory there only that it cannot open the database. */
const databases = ['server.db', 'server.lock'].flatMap((name) =>
  ['', '-wal', '-shm', '-journal'].map((end) => name + end),
);
const files = [...databases, 'public-keys.json', 'public-keys.json.tmp'];
const directories = ['keys', 'releases', ...['metadata', 'targets', 'bundles'].map((name) => join('releases', name))];

/** @throws StartError `not-a-file`: a directory or a pipe is where a file must be, or something else where a directory */
export function requireOwnFiles(data: string): void {
  for (const [names, isRight, text] of [
    [files, 'isFile', startTexts.notAFile],
    [directories, 'isDirectory', startTexts.notADirectory],
  ] as const) {
    for (const path of names.map((name) => join(data, name))) {
      const facts = statSync(path, { throwIfNoEntry: false });
      if (facts === undefined || facts[isRight]()) continue;
      throw new StartError('not-a-file', text(path), startTexts.notAFileNext(path));
    }
  }
}
