import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answersFor, recordsPerRunMax, Stores } from '../../../agent/maker/answers.ts';
import { type Outbox, openOutbox } from '../../../agent/outbox.ts';
import { openState, type State } from '../../../agent/state.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { eventShape } from '../../../protocol/event.ts';

let directory: string;
let state: State;
let outbox: Outbox;
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const boot = '11111111-1111-4111-8111-111111111111';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-answers-'));
  state = openState(join(directory, 'state.db'));
  outbox = openOutbox(join(directory, 'outbox.db'), () => ({ boot, monoMs: 5 }), log);
});
afterEach(() => {
  state.close();
  outbox.close();
  rmSync(directory, { recursive: true });
});
const noSecrets = () => Promise.resolve(null);
const answers = (owner = 'meter') => answersFor(new Stores(state.database, outbox), owner, noSecrets);
const bodies = () =>
  outbox.database
    .prepare<[], { body: string }>('SELECT body FROM events ORDER BY n')
    .all()
    .map(({ body }) => eventShape.parse(JSON.parse(body)));

describe('a record of a piece of work', () => {
  it('is its canonical JSON, with a digest that proves it, under a name that no other one has', () => {
    const { answer } = answers();
    expect(answer('records.add', [{ b: 1.0, a: 'ท่าเรือ' }])).toBe('meter/1');
    expect(answer('records.add', [null])).toBe('meter/2');
    expect(answers('pump').answer('records.add', [1])).toBe('pump/1');
    const [first] = bodies();
    expect(first).toMatchObject({ kind: 'record', text: '{"a":"ท่าเรือ","b":1}' });
    expect(first?.record).toEqual({ name: 'meter/1', sha256: sha256('{"a":"ท่าเรือ","b":1}') });
  });

  it('has its number from the outbox: a state that goes back makes no name new again', () => {
    answers().answer('records.add', [1]);
    state.close();
    rmSync(join(directory, 'state.db'));
    state = openState(join(directory, 'state.db'));
    expect(answers().answer('records.add', [1])).toBe('meter/2');
  });

  it('is bounded in size and in number for each run, and one that is refused leaves nothing', () => {
    const { begin, answer } = answers();
    expect(() => answer('records.add', ['x'.repeat(2_000)])).toThrow(/2002 characters of JSON/);
    expect(() => answer('records.add', ['\uD800'])).toThrow(/surrogate/);
    expect(bodies()).toEqual([]);
    begin();
    for (let i = 0; i < recordsPerRunMax; i += 1) answer('records.add', [i]);
    expect(() => answer('records.add', [0])).toThrow(/20 records at most/);
    begin();
    expect(answer('records.add', ['of the next run'])).toBe('meter/21');
  });
});

describe('a table that two pieces of work see', () => {
  it('is one: what one adds and removes, the other one counts', () => {
    const stores = new Stores(state.database, outbox);
    const [reader, check] = [answersFor(stores, 'meter', noSecrets), answersFor(stores, 'meter', noSecrets)];
    expect(check.answer('table.count', [])).toBe(0);
    const n = reader.answer('table.add', ['a row']);
    expect([check.answer('table.count', []), reader.answer('table.count', [])]).toEqual([1, 1]);
    check.answer('table.removeUpTo', [n]);
    expect(reader.answer('table.count', [])).toBe(0);
  });
});

describe('what a piece of work asks', () => {
  it.each<[string, unknown, RegExp]>([
    ['store.get', [5], /string/],
    ['table.rows', ['all'], /number/],
    ['table.newest', [-1], />=0/],
    ['table.add', 'no list', /array/],
    ['constructor', [], /there is no constructor/],
    ['database.exec', ['DROP TABLE duties'], /there is no database.exec/],
  ])('%s %j is refused by words', (method, args, words) => {
    expect(() => answers().answer(method, args)).toThrow(words);
  });
});
