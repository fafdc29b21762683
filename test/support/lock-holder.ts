import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

/** Holds the write lock of a database until its standard input ends. */
const program = `
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync(process.argv[1]);
  db.exec('PRAGMA busy_timeout = 60000; BEGIN EXCLUSIVE');
  process.stdout.write('held\\n');
  process.stdin.on('end', () => { db.exec('ROLLBACK'); db.close(); }).resume();
`;

/** Another process that writes to a database, as a person at the sqlite3 shell does. */
export class LockHolder implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async on(path: string): Promise<LockHolder> {
    const child = spawn(process.execPath, ['-e', program, resolve(path)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const holder = new LockHolder(child);
    if (child.stdout === null) throw new TypeError('the child has no standard output');
    await once(child.stdout, 'data');
    return holder;
  }

  async letGo(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.letGo();
  }
}
