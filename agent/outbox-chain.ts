import type { Database } from 'better-sqlite3';
import { counterMax } from '../protocol/bounded-step.ts';
import { type Digest, sha256 } from '../protocol/digest.ts';

/** The events of an outbox form one chain: each names its predecessor by its hash. */

/** The `prev` of the first event. */
export const chainStart = '0'.repeat(64);

/** @returns the link that this event adds to the chain of evidence */
export function chainHash(prev: Digest, body: string): Digest {
  return sha256(`${prev}\n${body}`);
}

/** Gives every event from `from` on the numbers after `after`, in order, with new links. */
export function renumber(database: Database, from: number, after: number): void {
  const rows = database
    .prepare<[number], { n: number; body: string }>('SELECT n, body FROM events WHERE n >= ? ORDER BY n')
    .all(from);
  const before = database
    .prepare<[number], { hash: string }>('SELECT hash FROM events WHERE n < ? ORDER BY n DESC LIMIT 1')
    .get(from);
  const change = database.prepare('UPDATE events SET n = ?, body = ?, prev = ?, hash = ? WHERE n = ?');
  let prev = before?.hash ?? chainStart;
  const moved = rows.map((row, index) => {
    const n = after + 1 + index;
    const body = JSON.stringify({ ...JSON.parse(row.body), n });
    const link = { n, body, prev, hash: chainHash(prev, body), from: row.n };
    prev = link.hash;
    return link;
  });
  // When numbers rise, from the last event down, else from the first up, so that no number exists twice on the way.
  const inOrder = after >= from ? moved.toReversed() : moved;
  for (const link of inOrder) change.run(link.n, link.body, link.prev, link.hash, link.from);
}

/** Numbers that no sender can have reached and no server reads are replaced by those after the last sound one. */
export function renumberUncounted(database: Database): void {
  const bound = database
    .prepare<{ max: number }, { first: number | null; last: number }>(
      `SELECT (SELECT min(n) FROM events WHERE n >= @max) AS first,
         coalesce((SELECT max(n) FROM events WHERE n < @max), 0) AS last`,
    )
    .get({ max: counterMax });
  if (bound === undefined || bound.first === null) return;
  const { first, last } = bound;
  database.transaction(() => renumber(database, first, last)).immediate();
}
