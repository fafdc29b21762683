import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Outbox, openOutbox } from '../../agent/outbox.ts';
import { tellSettings } from '../../agent/settings-notes.ts';

let directory: string;
let outbox: Outbox;
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const open = () =>
  openOutbox(join(directory, 'outbox.db'), () => ({ boot: '11111111-1111-4111-8111-111111111111', monoMs: 5 }), log);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-notes-'));
  outbox = open();
});
afterEach(() => {
  outbox.close();
  rmSync(directory, { recursive: true });
});

it('what is wrong with the settings is told once for each change of it, also across starts', () => {
  const texts = () =>
    outbox.database
      .prepare<[], { body: string }>('SELECT body FROM events ORDER BY n')
      .all()
      .map(({ body }) => JSON.parse(body).text);
  expect(tellSettings(outbox, [], log)).toEqual([]);
  expect(texts()).toEqual([]);

  const wrong = ['intervalMs: it must be a number; 1000 holds', 'x'.repeat(3_000)];
  expect(tellSettings(outbox, wrong, log).map((note) => note.length)).toEqual([wrong[0]?.length, 300]);
  outbox.close();
  outbox = open();
  tellSettings(outbox, wrong, log);
  expect(texts()).toHaveLength(1);
  expect(texts()[0]).toMatch(/^agent\.json: intervalMs: it must be a number; 1000 holds; x+/);
  expect(texts()[0]).toHaveLength(2_000);

  tellSettings(outbox, [], log);
  tellSettings(outbox, [], log);
  expect(texts().slice(1)).toEqual(['agent.json: all settings are in force']);
  expect(
    tellSettings(
      outbox,
      Array.from({ length: 20 }, (_, i) => `${i}`),
      log,
    ),
  ).toHaveLength(8);
});
