import { DatabaseSync } from 'node:sqlite';

/** Reads a database and never ends to: what any process can that may open the file. */
const database = new DatabaseSync(`file:${process.argv[2] ?? ''}?mode=ro`);
database.exec('BEGIN; SELECT * FROM sqlite_schema');
process.stdout.write('held\n');
process.stdin.resume();
