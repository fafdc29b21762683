import { DatabaseSync } from 'node:sqlite';
import type { Layout } from '../protocol/layout.ts';

/** Held by the one updater that is at work. */
export interface Lock {
  release(): void;
}

/**
 * An exclusive transaction on a root-only file: it dies with its process, and nobody else can reach it.
 * @returns null when another updater is at work
 */
export function takeLock(layout: Layout): Lock | null {
  const database = new DatabaseSync(layout.lock);
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return null; // SQLITE_BUSY
    throw error;
  }
  return { release: () => database.close() };
}
