import { chownSync, copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Layout } from '../../../protocol/layout.ts';

const stateNames = ['state.db', 'state.db-wal', 'agent.json'];

/**
 * The state of an agent that was killed at work: rows of which a part is still in the write-ahead log only.
 * The copy of what an open database has on disk is what a SIGKILL leaves.
 */
export function killedAgentState(layout: Layout, rows: number, owner?: number): void {
  const path = `${layout.agent}/live.db`;
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE work (n INTEGER, text TEXT)');
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const insert = database.prepare('INSERT INTO work VALUES (?, ?)');
  for (let n = 1; n <= rows; n += 1) insert.run(n, `row ${n}`);
  copyFileSync(path, layout.stateDb);
  copyFileSync(`${path}-wal`, `${layout.stateDb}-wal`);
  database.close();
  writeFileSync(layout.agentSettings, '{"site_name":"north"}\n');
  if (owner === undefined) return;
  for (const name of stateNames) chownSync(`${layout.agent}/${name}`, owner, owner);
}

/** What a trial does to the state: migrates it destructively, and is killed with its own log still there. */
export function destructiveTrial(layout: Layout): void {
  const database = new DatabaseSync(layout.stateDb);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
  database.exec('DROP TABLE work; CREATE TABLE work_two (n INTEGER); INSERT INTO work_two VALUES (1)');
  const left = ['-wal', '-shm'].filter((end) => existsSync(`${layout.stateDb}${end}`));
  for (const end of left) copyFileSync(`${layout.stateDb}${end}`, `${layout.agent}/left${end}`);
  copyFileSync(layout.stateDb, `${layout.agent}/left`);
  database.close();
  for (const end of ['', ...left]) copyFileSync(`${layout.agent}/left${end}`, `${layout.stateDb}${end}`);
  writeFileSync(layout.agentSettings, '{"site_name":"south"}\n');
}

/** The rows that an agent would find. */
export function rowsIn(path: string): number {
  const database = new DatabaseSync(path);
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM work').get()?.n);
  } finally {
    database.close();
  }
}
