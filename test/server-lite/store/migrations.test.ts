import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { eventNumberStepMax } from '../../../protocol/bounded-step.ts';
import { openDatabase } from '../../../server-lite/store/database.ts';
import { eventsOf } from '../../../server-lite/store/events.ts';
import { talliesStep } from '../../../server-lite/store/migrations/tallies.ts';
import { migrations } from '../../../server-lite/store/migrations.ts';
import { sendersOf } from '../../../server-lite/store/senders.ts';

const alpha = `hf-${'a'.repeat(20)}`;
const beta = `hf-${'b'.repeat(20)}`;

/** A database as an earlier version left it: its schema, two appliances, and what they had sent. */
async function earlier(schema: number, events: readonly (readonly [string, string, number])[], upto: number) {
  const directory = await mkdtemp(join(tmpdir(), 'hf-schema-'));
  const path = join(directory, 'server.db');
  const db = new Database(path);
  for (const step of migrations.slice(0, schema)) db.exec(step);
  db.pragma(`user_version = ${schema}`);
  for (const [id, name] of [
    [alpha, 'alpha'],
    [beta, 'beta'],
  ]) {
    db.prepare('INSERT INTO appliances (id, name, site, enrolled_at) VALUES (?, ?, ?, 1)').run(id, name, 'Hall');
  }
  const add = db.prepare(
    "INSERT INTO events (appliance, role, id, n, kind, text, body, received_at) VALUES (?, ?, ?, ?, 'note', '', '{}', 1)",
  );
  for (const [appliance, role, n] of events) add.run(appliance, role, `${role} ${n}`, n);
  if (upto > 0) db.prepare("INSERT INTO acknowledged (appliance, role, upto) VALUES (?, 'agent', ?)").run(alpha, upto);
  db.close();
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

describe.each(migrations.map((_, index) => index + 1))('a database of schema %d', (schema) => {
  it('is brought up to date, and then is one of the newest', async () => {
    await using database = await earlier(schema, [[alpha, 'agent', 1]], 1);
    const db = openDatabase(database.path);
    expect(db.pragma('user_version', { simple: true })).toBe(migrations.length);
    expect(db.pragma('foreign_key_check')).toEqual([]);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(sendersOf(db).numbering(alpha, 'agent')).toEqual({ told: 1, last: 1, former: null });
    expect(sendersOf(db).gaps(alpha, 'agent')).toEqual([]);
    db.close();
  });
});

describe.each([1, 2])('the senders of a database of schema %d', (schema) => {
  it('go on from the last number that is stored, also where an acknowledgement never came', async () => {
    const stored = [
      [alpha, 'agent', 1],
      [alpha, 'agent', 2],
      [alpha, 'agent', 9],
      [beta, 'updater', 2],
      [beta, 'updater', 3],
      [beta, 'server', 0],
    ] as const;
    await using database = await earlier(schema, stored, 2);
    const db = openDatabase(database.path);
    const senders = sendersOf(db);
    expect(senders.numbering(alpha, 'agent')).toEqual({ told: 9, last: 9, former: null });
    expect(senders.gaps(alpha, 'agent')).toMatchObject([{ from: 3, to: 8, of: { from: 3, to: 8 } }]);
    expect(senders.gaps(beta, 'updater')).toMatchObject([{ from: 1, to: 1 }]);
    expect(db.prepare("SELECT text FROM events WHERE kind LIKE '%missing' ORDER BY serial").all()).toEqual([
      { text: 'events 3-8 of its agent had not arrived here when others had' },
      { text: 'events 1-1 of its updater had not arrived here when others had' },
    ]);
    expect(senders.numbering(beta, 'updater')).toEqual({ told: 3, last: 3, former: null });
    expect(senders.numbering(beta, 'agent')).toEqual({ told: 0, last: 0, former: null });
    expect(db.prepare("SELECT count(*) AS n FROM acknowledged WHERE role = 'server'").get()).toEqual({ n: 0 });
    db.close();
  });

  it('are not told a number that a copied key made up', async () => {
    await using database = await earlier(
      schema,
      [
        [alpha, 'agent', 1],
        [alpha, 'agent', Number.MAX_SAFE_INTEGER],
      ],
      1,
    );
    const db = openDatabase(database.path);
    expect(sendersOf(db).numbering(alpha, 'agent').told).toBe(1 + eventNumberStepMax);
    db.close();
  });
});

describe('a database of a schema that this version does not know', () => {
  it('is refused with the next step, and left as it is', async () => {
    await using database = await earlier(migrations.length, [], 0);
    const db = new Database(database.path);
    db.pragma('user_version = 99');
    db.close();
    expect(() => openDatabase(database.path)).toThrow(expect.objectContaining({ code: 'database-too-new' }));
    const again = new Database(database.path);
    expect(again.pragma('user_version', { simple: true })).toBe(99);
    again.close();
  });
});

describe('the tallies of a database that counted all writers together', () => {
  it('count by writer, and what was removed stays said', async () => {
    const sent = [
      [alpha, 'agent', 1],
      [alpha, 'agent', 2],
      [alpha, 'updater', 1],
    ] as const;
    await using database = await earlier(migrations.indexOf(talliesStep), sent, 2);
    const before = new Database(database.path);
    before.exec(`INSERT INTO event_tallies VALUES ('${alpha}', 'note', 3, 6, 700), ('${alpha}', 'record', 0, 0, 9);
      INSERT INTO events (appliance, role, id, n, kind, text, body, received_at, keep)
        VALUES ('${alpha}', 'server', 'dropped-note', 0, 'events-dropped', '700', '{}', 1, 'fact'),
          ('${alpha}', 'server', 'x', 0, 'agent-fact-refused', '', '{}', 1, 'fact')`);
    before.close();
    const db = openDatabase(database.path);
    expect(eventsOf(db).tallies()).toEqual([
      { appliance: alpha, role: 'agent', keep: 'note', events: 2, bytes: 4, dropped: 700 },
      { appliance: alpha, role: 'agent', keep: 'record', events: 0, bytes: 0, dropped: 9 },
      { appliance: alpha, role: 'server', keep: 'fact', events: 1, bytes: 5, dropped: 0 },
      { appliance: alpha, role: 'server', keep: 'note', events: 1, bytes: 2, dropped: 0 },
      { appliance: alpha, role: 'updater', keep: 'note', events: 1, bytes: 2, dropped: 0 },
    ]);
    expect(db.prepare("SELECT id FROM events WHERE kind = 'events-dropped'").get()).toEqual({
      id: 'dropped-agent-note',
    });
    db.close();
  });
});

describe('the keys of a server that did not ask for proofs', () => {
  it("are proven where they signed the enrolment: the updater's", async () => {
    const schema = migrations.findIndex((step) => step.includes('ADD COLUMN proven'));
    await using database = await earlier(schema, [], 0);
    {
      const before = new Database(database.path);
      const add = before.prepare(
        'INSERT INTO keys (key_id, appliance, role, public_key, added_at) VALUES (@role, @alpha, @role, @role, 1)',
      );
      for (const role of ['agent', 'updater']) add.run({ role, alpha });
      before.close();
    }
    const db = openDatabase(database.path);
    expect(db.prepare('SELECT role, proven FROM keys ORDER BY role').all()).toEqual([
      { role: 'agent', proven: 0 },
      { role: 'updater', proven: 1 },
    ]);
    db.close();
  });
});

describe('an appliance that was retired by an earlier server', () => {
  it('has no open order and no assignment any more, and a name of its own, whatever others are called', async () => {
    await using database = await earlier(4, [], 0);
    const before = new Database(database.path);
    before.exec(`
      UPDATE appliances SET retired_at = 7 WHERE id = '${alpha}';
      UPDATE appliances SET name = 'ALPHA (retired)' WHERE id = '${beta}';
      INSERT INTO releases (serial, component, version, manifest, bundle_bytes, bundle_sha256, published_at)
        VALUES (1, 'app', '1.0.49', 'm', 1, 's', 1);
    `);
    for (const id of [alpha, beta]) {
      before.prepare('INSERT INTO assignments VALUES (?, ?, 1, 1)').run(id, 'app');
      before
        .prepare(
          `INSERT INTO orders (id, appliance, kind, args, envelope, state, created_at, expires_at)
             VALUES (?, ?, 'run-checks', '{}', '', 'queued', 9, 99)`,
        )
        .run(`order of ${id}`, id);
    }
    before.close();
    const db = openDatabase(database.path);
    const orders = 'SELECT state, error, ended_at FROM orders ORDER BY appliance';
    expect(db.prepare(orders).all()).toEqual([
      { state: 'failed', error: 'the appliance was retired', ended_at: 9 },
      { state: 'queued', error: null, ended_at: null },
    ]);
    expect(db.prepare('SELECT appliance FROM assignments').pluck().all()).toEqual([beta]);
    expect(db.prepare('SELECT name FROM appliances ORDER BY id').pluck().all()).toEqual([
      expect.stringMatching(/^alpha \(retired \d+\)$/),
      'ALPHA (retired)',
    ]);
    db.close();
  });
});
