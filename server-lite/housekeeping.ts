import { schedule } from 'node-cron';
import type { Db } from './store/database.ts';

/** At night by the server's own clock, when people are least likely to wait for an answer. */
export const housekeepingAt = '17 3 * * *';

/** What housekeeping removed. */
export interface Tidied {
  readonly claims: number;
}

/**
 * Removes expired claim codes, lets SQLite renew its statistics, and truncates the write-ahead log. May run at any
 * time.
 */
export function keepHouse(db: Db, nowMs: number): Tidied {
  const { changes } = db.prepare('DELETE FROM claims WHERE used_by IS NULL AND expires_at < ?').run(nowMs);
  db.pragma('optimize');
  db.pragma('wal_checkpoint(TRUNCATE)');
  return { claims: changes };
}

/** Runs the housekeeping every night until it is stopped. */
export function scheduleHousekeeping(work: () => void): { stop(): Promise<void> } {
  const task = schedule(housekeepingAt, work, { name: 'housekeeping', noOverlap: true });
  return {
    stop: async () => {
      await task.destroy();
    },
  };
}
