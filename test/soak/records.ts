import { join } from 'node:path';
import { z } from 'zod';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';

const eventShape = z.object({ id: z.string(), n: z.number(), body: z.string() });
const outboxShape = eventShape.extend({ prev: z.string(), hash: z.string(), acked: z.number() });

function rowsOf<Row>(path: string, shape: z.ZodType<Row>, sql: string, ...values: string[]): Row[] {
  const database = readOnlyDatabase(path);
  try {
    return z.array(shape).parse(database.prepare(sql).all(...values));
  } finally {
    database.close();
  }
}

/** What the two sides say of the records of one appliance, when all processes are at rest. */
export interface RecordCheck {
  readonly checked: number;
  /** One sentence for each record that is lost, doubled or changed. */
  readonly lost: readonly string[];
}

/**
 * Every record that the server acknowledged is in the server's database exactly once, as it was written; and no number
 * below the highest acknowledged one is missing.
 */
export function checkRecords(box: ApplianceBox, serverDir: string): RecordCheck {
  const server = join(serverDir, 'server.db');
  const lost: string[] = [];
  let checked = 0;
  const stored = (role: string) =>
    rowsOf(
      server,
      eventShape,
      'SELECT id, n, body FROM events WHERE appliance = ? AND role = ? ORDER BY n',
      box.id,
      role,
    );
  const outbox = rowsOf(
    box.layout.outboxDb,
    outboxShape,
    'SELECT id, n, body, prev, hash, acked FROM events ORDER BY n',
  );
  const agent = stored('agent');
  for (const event of outbox.filter(({ acked }) => acked === 1)) {
    checked += 1;
    const copies = agent.filter(({ id }) => id === event.id);
    if (copies.length !== 1)
      lost.push(`${box.options.name}: event ${event.n} of the agent is there ${copies.length} times`);
    else if (copies[0]?.n !== event.n)
      lost.push(`${box.options.name}: event ${event.n} of the agent has another number`);
  }
  // Serial appends: each link names the one before it, over every crash and rollback (S53).
  for (const [index, event] of outbox.entries()) {
    const before = outbox[index - 1];
    if (before !== undefined && event.prev !== before.hash)
      lost.push(`${box.options.name}: the chain breaks at ${event.n}`);
  }
  for (const role of ['agent', 'updater']) {
    const events = role === 'agent' ? agent : stored(role);
    checked += events.length;
    for (const [index, { n }] of events.entries()) {
      if (n !== index + 1) {
        lost.push(`${box.options.name}: number ${index + 1} of the ${role} is missing or doubled`);
        break;
      }
    }
  }
  return { checked, lost };
}

/** Transactions of one component that ended, by outcome, as the server was told. */
export function outcomesOf(serverDir: string, component: 'app' | 'updater'): Readonly<Record<string, number>> {
  const sql = `
    SELECT kind, count(*) AS count FROM events
    WHERE role = 'updater' AND kind LIKE 'release-%' AND json_extract(body, '$.release.component') = ? GROUP BY kind`;
  const shape = z.object({ kind: z.string(), count: z.number() });
  const found = rowsOf(join(serverDir, 'server.db'), shape, sql, component);
  return Object.fromEntries(found.map(({ kind, count }) => [kind, count]));
}
