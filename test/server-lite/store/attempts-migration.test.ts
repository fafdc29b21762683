import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { attemptsOf } from '../../../server-lite/store/attempts.ts';
import { openDatabase } from '../../../server-lite/store/database.ts';
import { migrations } from '../../../server-lite/store/migrations.ts';
import { rolloutsOf } from '../../../server-lite/store/rollouts.ts';

/** The last schema of a release without attempts. */
const released = 3;
const idOf = (name: string) => `hf-${name.padEnd(20, 'x')}`;
const digest = (version: string) => version.replaceAll('.', '').padEnd(64, '0');

interface Past {
  readonly on: string;
  /** Kind, version, where it came from, reason. */
  readonly events: readonly (readonly [string, string, string, string])[];
  readonly status?: string;
}

/** A database as that release left it: two rollouts, and what the updaters had said. */
async function past(appliances: Readonly<Record<string, Past>>) {
  const directory = await mkdtemp(join(tmpdir(), 'hf-attempts-'));
  const path = join(directory, 'server.db');
  const db = new Database(path);
  for (const step of migrations.slice(0, released)) db.exec(step);
  db.pragma(`user_version = ${released}`);
  const release = db.prepare(
    "INSERT INTO releases (component, version, manifest, bundle_bytes, bundle_sha256, published_at) VALUES ('app', ?, ?, 1, '', 1)",
  );
  for (const version of ['1.0.52', '1.0.53']) release.run(version, digest(version));
  const rollout = db.prepare(
    'INSERT INTO rollouts (release, canaries, state, reason, started_at, changed_at) VALUES (?, ?, ?, ?, 10, 20)',
  );
  rollout.run(1, JSON.stringify([idOf('a')]), 'paused', 'by an operator');
  rollout.run(2, JSON.stringify([idOf('a')]), 'running', '');
  for (const [name, { on, events, status = 'ok' }] of Object.entries(appliances)) {
    const have = { app: { version: on, slot: '0', manifest: digest(on) } };
    const role = { atMs: 30, have, status, checks: {}, row: 'idle', why: null, agentAlive: true, settled: 3 };
    const presence = { agent: role, updater: role, quarantine: [], starts: [], clock: null };
    db.prepare('INSERT INTO appliances (id, name, site, enrolled_at, presence) VALUES (?, ?, ?, 1, ?)').run(
      idOf(name),
      name,
      'Hall',
      JSON.stringify(presence),
    );
    for (const [index, [kind, version, from, reason]] of events.entries()) {
      const body = { release: { manifest: digest(version), version, from, ...(reason === '' ? {} : { reason }) } };
      db.prepare(
        "INSERT INTO events (appliance, role, id, n, kind, text, body, received_at) VALUES (?, 'updater', ?, ?, ?, ?, ?, 15)",
      ).run(idOf(name), `${name}-${index}`, index + 1, kind, `${version}: ${kind}`, JSON.stringify(body));
    }
  }
  db.close();
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

const committed = (version: string, from: string) => ['release-committed', version, from, ''] as const;
const back = (version: string, reason: string) => ['release-rolled-back', version, '1.0.49', reason] as const;

describe('rollouts of a release that kept no attempts', () => {
  it('have the proof and the failures that leave no doubt, and no others', async () => {
    await using database = await past({
      a: { on: '1.0.53', events: [committed('1.0.52', '1.0.49'), committed('1.0.53', '1.0.52')] },
      b: { on: '1.0.53', events: [back('1.0.52', 'crash-loop'), committed('1.0.53', '1.0.49')] },
      // Committed, and then left: by itself, or by a person who does not say why.
      c: { on: '1.0.49', events: [committed('1.0.52', '1.0.49'), back('1.0.52', 'crash-loop')] },
      d: { on: '1.0.49', events: [committed('1.0.52', '1.0.49'), back('1.0.52', 'by-hand')] },
      // It has a newer one, and never ran what was rolled out.
      e: { on: '1.0.60', events: [] },
      // Committed, and not healthy now.
      f: { on: '1.0.53', events: [committed('1.0.53', '1.0.49')], status: 'unknown' },
      g: { on: '1.0.49', events: [['release-refused', '1.0.53', '1.0.49', 'bad-chunk']] },
      h: { on: '1.0.49', events: [['release-refused', '1.0.53', '1.0.49', 'no-space']] },
    });
    const db = openDatabase(database.path);
    const standings = (rollout: number) =>
      attemptsOf(db)
        .standings(rollout)
        .map(({ appliance, outcome }) => `${appliance.charAt(3)} ${outcome}`)
        .sort((a, b) => a.localeCompare(b));
    expect(standings(1)).toEqual(['a proven', 'b failed', 'c failed']);
    expect(standings(2)).toEqual(['a proven', 'b proven', 'g failed']);
    expect(attemptsOf(db).standing(1, idOf('b'))?.reason).toBe('1.0.52: release-rolled-back');
    db.close();
  });

  it('go on as they were, with the reason, and take outcomes of offers that nobody wrote down', async () => {
    await using database = await past({ a: { on: '1.0.49', events: [] } });
    const db = openDatabase(database.path);
    const rollouts = rolloutsOf(db);
    expect(rollouts.list().map(({ id, state, reason, offersKnown }) => [id, state, reason, offersKnown])).toEqual([
      [2, 'running', '', false],
      [1, 'paused', 'by an operator', false],
    ]);
    expect(rollouts.history(1)).toEqual([{ atMs: 20, state: 'paused', reason: 'by an operator' }]);
    expect(rollouts.add(1, [idOf('a')], 40)).toBe(3);
    expect(rollouts.find(3)).toMatchObject({ state: 'running', offersKnown: true });
    expect(db.pragma('foreign_key_check')).toEqual([]);
    db.close();
  });
});
