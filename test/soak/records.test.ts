import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putAsideDirectory, quarantineDirectory, snapshotDirectory } from '../../updater/agent-data/snapshot.ts';
import { ApplianceBox } from '../support/world/appliance-box.ts';
import { Books } from './books.ts';
import { randomOf } from './random.ts';
import { checkRecords } from './records.ts';
import { sightOf } from './sight.ts';
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
  for (const database of [server, outbox]) database.exec('PRAGMA synchronous = OFF');
  outbox.exec('CREATE TABLE events (id TEXT, n INTEGER, body TEXT, prev TEXT, hash TEXT, acked INTEGER, record TEXT)');
  for (const n of [1, 2, 3]) {
    const insert = outbox.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, 1, NULL)');
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

describe('the books of all readings', () => {
  const digest = (n: number) => `digest-${n}`;

  function write(path: string, readings: readonly number[]): void {
    mkdirSync(dirname(path), { recursive: true });
    const database = new DatabaseSync(path);
    database.exec(`
      PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS readings (n INTEGER PRIMARY KEY, name TEXT, value REAL, sha256 TEXT);
      DELETE FROM readings;`);
    const insert = database.prepare('INSERT INTO readings VALUES (?, ?, 0, ?)');
    for (const n of readings) insert.run(n, `reading-${n}`, digest(n));
    database.close();
  }

  function acknowledge(...readings: readonly number[]): void {
    for (const n of readings) {
      const body = JSON.stringify({ record: { name: `reading-${n}`, sha256: digest(n) } });
      const sql = 'INSERT INTO events VALUES (?, (SELECT max(n) + 1 FROM events), ?, ?, ?, 1, ?)';
      outbox.prepare(sql).run(`record-${n}`, body, '', '', `reading-${n}`);
    }
  }

  const pathOf = {
    state: () => box.layout.stateDb,
    factory: () => join(box.layout.agentFactory, 'state.db'),
    copied: (tx: number) => join(snapshotDirectory(box.layout, tx), 'state.db'),
    trial: (tx: number) => join(quarantineDirectory(box.layout, tx), 'state.db'),
    putAside: (tx: number) => join(putAsideDirectory(box.layout, tx), 'state.db'),
  };

  /**
   * 1 and 2 were there before the switch 7 to a version whose data no older one reads, 3 and 4 were stored after it. Somebody
   * went back, so those two are aside; then a trial made 5, and failed; the factory agent made 6, and 7 came after all that.
   */
  function history(books: Books, putAside: readonly number[] = [1, 2, 3, 4]): void {
    write(pathOf.state(), [1, 2]);
    acknowledge(1, 2);
    books.look(sightOf(box));
    const { owed } = books;
    write(pathOf.copied(7), [1, 2]);
    write(pathOf.state(), [1, 2, 3, 4]);
    acknowledge(3, 4);
    books.look(sightOf(box));
    books.giveUp(7, new Map([1, 2].map((n) => [n, digest(n)])), owed);
    write(pathOf.state(), [1, 2]);
    write(pathOf.putAside(7), putAside);
    books.look(sightOf(box));
    write(pathOf.trial(9), [1, 2, 5]);
    acknowledge(5);
    books.look(sightOf(box));
    write(pathOf.factory(), [6]);
    write(pathOf.state(), [1, 2, 7]);
    acknowledge(6, 7);
  }

  it('find each in its one place', () => {
    const books = new Books('one');
    history(books);
    books.look(sightOf(box));
    expect(books.troubles).toEqual([]);
    expect(books.counts).toEqual({ checked: 7, state: 3, factory: 1, trial: 1, 'put-aside': 2 });
  });

  it('know what a trial left after it was removed, and what was put aside after three more were kept', () => {
    const books = new Books('one');
    history(books);
    books.look(sightOf(box));
    for (const tx of [11, 13]) write(pathOf.trial(tx), [1, 2, 7]);
    books.look(sightOf(box));
    for (const tx of [7, 9]) rmSync(snapshotDirectory(box.layout, tx), { recursive: true });
    books.look(sightOf(box));
    expect(books.troubles).toEqual([]);
    expect(books.counts).toMatchObject({ checked: 7, trial: 1, 'put-aside': 2 });
  });

  it.each([
    ['a reading is lost', () => write(pathOf.state(), [1, 7]), 'reading 2 was acknowledged, and is nowhere'],
    [
      'one that was put aside is in the state again',
      () => write(pathOf.state(), [1, 2, 3, 7]),
      'reading 3 is in state and in put-aside 7',
    ],
    ["one is in both agents' states", () => write(pathOf.factory(), [6, 7]), 'reading 7 is in state and in factory'],
    ['one is there twice in the outbox', () => acknowledge(2), 'reading 2 was recorded twice'],
    [
      'one is another than was acknowledged',
      () => {
        const state = new DatabaseSync(pathOf.state());
        state.exec("UPDATE readings SET sha256 = 'digest-9' WHERE n = 2");
        state.close();
      },
      'reading 2 in state is another one',
    ],
    [
      'one that was put aside is gone from there',
      () => write(pathOf.putAside(7), [1, 2, 4]),
      'reading 3 is not in put-aside 7 any more',
    ],
    [
      'what was put aside is removed before its time',
      () => rmSync(putAsideDirectory(box.layout, 7), { recursive: true }),
      'put-aside 7 is gone, and only 1 were kept after it',
    ],
    [
      'a trial took along what was acknowledged before it',
      () => {
        write(pathOf.trial(11), [1, 2, 7]);
        write(pathOf.state(), [1, 7]);
      },
      'reading 2 was acknowledged before the trial that took it along (trial 11)',
    ],
    [
      'more was put aside than somebody gave up',
      () => {
        write(pathOf.putAside(12), [1, 2, 7]);
        write(pathOf.state(), [1, 2]);
      },
      'reading 7 was put aside (put-aside 12), and nobody gave it up',
    ],
  ])('tell when %s', (_what, damage, sentence) => {
    const books = new Books('one');
    history(books);
    books.look(sightOf(box));
    expect(books.troubles).toEqual([]);
    damage();
    books.look(sightOf(box));
    expect(books.troubles.join('; ')).toContain(sentence);
  });

  it('tell when what was given up is not all put aside', () => {
    const books = new Books('one');
    history(books, [1, 2, 4]);
    expect(books.troubles.join('; ')).toContain('reading 3 was acknowledged, and is nowhere');
  });

  it('tell when the copy of before lacks what had been acknowledged by then', () => {
    const books = new Books('one');
    write(pathOf.state(), [1, 2]);
    write(pathOf.factory(), [3]);
    acknowledge(1, 2, 3);
    books.look(sightOf(box));
    books.giveUp(7, new Map([[1, digest(1)]]), books.owed);
    expect(books.troubles).toEqual(['one: reading 2 was acknowledged before switch 7, and its copy does not have it']);
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
