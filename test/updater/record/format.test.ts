import { mkdirSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { StoredRecord } from '../../../protocol/record.ts';
import { rows, type StateBody, stateBodyShape, stateSchema } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { launchCount } from '../../../updater/launch/count.ts';
import { next, table } from '../../../updater/machine/table.ts';
import { createRecordFiles, readRecord, writeRecord } from '../../../updater/record/record-store.ts';
import { loadState, saveState } from '../../../updater/record/state-store.ts';
import { readExamples, withUnknownFields } from '../../protocol/examples.ts';
import { events, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

/** Records are for ever: an older updater, as after a fall back to factory, works with those of a newer one. */
let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
});

const field = 'x-of-the-future';
const inserted = (state: StateBody): unknown => withUnknownFields(JSON.parse(JSON.stringify(state)));
const stored = (): StoredRecord => {
  const record = readRecord(realFiles, layout.stateRecords);
  if (record === null) throw new Error('there is no record');
  return record;
};
/** The paths of all objects that still have the field of the future. */
function kept(value: unknown, path = '$'): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Object.hasOwn(value, field) ? [path] : [];
  const below = Object.entries(value).filter(([key]) => key !== field);
  return [...own, ...below.flatMap(([key, child]) => kept(child, `${path}.${key}`))];
}

describe('a record with fields of a newer updater', () => {
  it.each(rows)('keeps them all when it is read and written again in %s', (row) => {
    const newer = inserted(stateIn(row));
    writeRecord(realFiles, layout.stateRecords, stateSchema + 1, newer);
    saveState(realFiles, layout, loadState(realFiles, layout));
    expect(stored()).toMatchObject({ seq: 2, schema: stateSchema + 1, body: newer });
    expect(kept(stored().body).length).toBeGreaterThan(5);
  });

  const transitions = rows.flatMap((row) =>
    Object.values(events)
      // Only an updater is probed; these states are of the agent.
      .filter(({ kind }) => table[row].on[kind] !== undefined && kind !== 'probed')
      .map((event) => ({ row, event, kind: event.kind })),
  );
  it.each(transitions)('keeps those of the record itself through $kind in $row', ({ row, event }) => {
    const after = next(stateBodyShape.parse(inserted(stateIn(row))), event);
    expect(kept(after)).toContain('$');
    // Whatever is still the same object, or a changed one, has what it had.
    const before = kept(inserted(stateIn(row)));
    const goesOn = after.transaction !== null && stateIn(row).transaction !== null;
    const expected = before.filter((path) => path === '$' || (goesOn && path === '$.transaction'));
    expect(kept(after)).toEqual(expect.arrayContaining(expected));
  });

  it('is not taken for one of its own schema by the newer one: the number stays', () => {
    writeRecord(realFiles, layout.stateRecords, stateSchema + 3, stateIn('idle'));
    for (let i = 0; i < 3; i += 1) saveState(realFiles, layout, stateIn('idle'));
    expect(stored()).toMatchObject({ seq: 4, schema: stateSchema + 3 });
  });
});

describe('the record of launch', () => {
  it('keeps what a later launch wrote into it, and its schema', () => {
    const trial = { tx: 7, component: 'app', slot: '2', tries: 3 } as const;
    writeRecord(realFiles, layout.stateRecords, stateSchema, { ...stateIn('armed'), trial });
    const app = { tx: 7, slot: '2', starts: [{ boot: 'b', n: 1 }], [field]: 'kept' };
    writeRecord(realFiles, layout.launchRecords, 2, { app, updater: null, [field]: 'kept too' });
    mkdirSync(layout.run, { recursive: true });
    launchCount({ files: realFiles, bootId: () => 'b', monoMs: () => 0 }, layout, 'app');
    const { schema, body } = readRecord(realFiles, layout.launchRecords) ?? {};
    expect(schema).toBe(2);
    expect(body).toMatchObject({
      [field]: 'kept too',
      app: { [field]: 'kept', starts: [{ n: 1 }, { n: 2 }] },
    });
  });
});

describe('every record that was ever written', () => {
  const bodies = readExamples().filter(({ shape }) => shape === 'state-body');
  it.each(bodies)('$name is read', ({ message }) => {
    writeRecord(realFiles, layout.stateRecords, stateSchema, message);
    expect(loadState(realFiles, layout)).toEqual(stateBodyShape.parse(message));
  });
});
