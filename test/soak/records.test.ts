import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApplianceBox } from '../support/world/appliance-box.ts';
import { randomOf } from './random.ts';
import { checkRecords } from './records.ts';
import { type Place, Tally } from './tally.ts';

let directory: string;
let box: ApplianceBox;
let server: DatabaseSync;
let outbox: DatabaseSync;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-soak-records-'));
  const root = join(directory, 'one');
  box = new ApplianceBox({ name: 'one', root, os: '', logs: directory, timerMs: null, pagePort: null });
  box.id = 'hf-1';
  mkdirSync(box.layout.agent, { recursive: true });
  server = new DatabaseSync(join(directory, 'server.db'));
  server.exec('CREATE TABLE events (appliance TEXT, role TEXT, id TEXT, n INTEGER, kind TEXT, body TEXT)');
  outbox = new DatabaseSync(box.layout.outboxDb);
  outbox.exec('CREATE TABLE events (id TEXT, n INTEGER, body TEXT, prev TEXT, hash TEXT, acked INTEGER)');
  for (const n of [1, 2, 3]) {
    const insert = outbox.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, 1)');
    insert.run(`id-${n}`, n, '{}', `hash-${n - 1}`, `hash-${n}`);
    store(n);
  }
});

afterEach(() => {
  server.close();
  outbox.close();
  rmSync(directory, { recursive: true });
});

const place = (row: Place['row'], component: Place['component'] = 'app'): Place => ({ row, component });

function store(n: number): void {
  server.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)').run('hf-1', 'agent', `id-${n}`, n, 'record', '{}');
}

describe('the check of all records', () => {
  it('finds nothing where each acknowledged record is there once', () => {
    expect(checkRecords(box, directory)).toEqual({ checked: 6, lost: [] });
  });

  it.each([
    [
      'one is gone from the server',
      () => server.exec('DELETE FROM events WHERE n = 2'),
      'event 2 of the agent is there 0 times',
    ],
    ['one is there twice', () => store(3), 'event 3 of the agent is there 2 times'],
    ['one has another number', () => server.exec('UPDATE events SET n = 9 WHERE n = 3'), 'has another number'],
    [
      'the chain is forked',
      () => outbox.exec("UPDATE events SET prev = 'hash-9' WHERE n = 3"),
      'the chain breaks at 3',
    ],
  ])('tells when %s', (_what, damage, sentence) => {
    damage();
    expect(checkRecords(box, directory).lost.join('; ')).toContain(sentence);
  });
});

describe('the tally', () => {
  it('leads to the row that was struck least', () => {
    const tally = new Tally();
    const [trial, armed] = [place('trial'), place('armed')];
    for (let i = 0; i < 3; i += 1) tally.count('agent', trial);
    expect(tally.leastOf([trial, armed], randomOf(1))).toEqual(armed);
    expect(tally).toMatchObject({ cycles: 3, byRow: { trial: 3, armed: 0 }, byVictim: { agent: 3, plug: 0 } });
  });

  it('tells the rows of an update of the updater from those of the agent', () => {
    const tally = new Tally();
    tally.count('launch', place('armed', 'updater'));
    expect(tally).toMatchObject({ cycles: 1, byRow: { armed: 0 }, byUpdaterRow: { armed: 1, trial: 0 } });
  });
});
