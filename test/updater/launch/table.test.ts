import { describe, expect, it } from 'vitest';
import { type Row, rows } from '../../../protocol/state-record.ts';
import {
  bootsMax,
  type CountedStart,
  chooseSlot,
  countStarts,
  type LaunchChoice,
  readPrefix,
  type StatePrefix,
} from '../../../updater/launch/table.ts';
import { idleState, stateIn } from '../support/states.ts';

const boot = 'this-boot';
const starts = (...boots: string[]): CountedStart[] => boots.map((name, i) => ({ boot: name, n: i + 1 }));

/** The slot that starts, `none`, or `factory` on its own state. */
function chosen(choice: LaunchChoice): string {
  if (choice.start === 'slot') return `slot ${choice.slot}${choice.counted ? ', counted' : ''}`;
  return choice.start === 'factory' ? 'factory' : 'none';
}

function prefixOf(body: unknown): StatePrefix {
  const prefix = readPrefix(JSON.parse(JSON.stringify(body)));
  if (prefix === null) throw new Error('no prefix');
  return prefix;
}

const table: Readonly<Record<Row, { app: string; updater: string }>> = {
  idle: { app: 'slot 1', updater: 'slot factory' },
  resolved: { app: 'slot 1', updater: 'slot factory' },
  fetching: { app: 'slot 1', updater: 'slot factory' },
  writing: { app: 'slot 1', updater: 'slot factory' },
  sealed: { app: 'slot 1', updater: 'slot factory' },
  quiesced: { app: 'none', updater: 'slot factory' },
  snapped: { app: 'none', updater: 'slot factory' },
  returning: { app: 'none', updater: 'slot factory' },
  armed: { app: 'slot 2, counted', updater: 'slot factory' },
  trial: { app: 'slot 2, counted', updater: 'slot factory' },
  committing: { app: 'slot 2', updater: 'slot factory' },
  reverting: { app: 'none', updater: 'slot factory' },
  closing: { app: 'slot 1', updater: 'slot factory' },
  safe: { app: 'factory', updater: 'slot factory' },
};

describe("launch's table", () => {
  it.each(rows.map((row) => ({ row, ...table[row] })))('in $row starts app $app and updater $updater', (expected) => {
    const prefix = prefixOf(stateIn(expected.row));
    expect(chosen(chooseSlot('app', prefix, null, boot))).toBe(expected.app);
    expect(chosen(chooseSlot('updater', prefix, null, boot))).toBe(expected.updater);
  });

  it.each(rows.filter((row) => row !== 'closing'))(
    'starts factory in %s, where it would start what is damaged, while a transaction is to end safe mode',
    (row) => {
      const safe = { reason: 'slot-damaged', tx: 0, text: 'main.js has another content' } as const;
      const expected = table[row].app === 'slot 1' ? 'factory' : table[row].app;
      expect(chosen(chooseSlot('app', prefixOf({ ...stateIn(row), safe }), null, boot))).toBe(expected);
      expect(chosen(chooseSlot('updater', prefixOf({ ...stateIn(row), safe }), null, boot))).toBe('slot factory');
    },
  );

  it.each([
    { row: 'armed', app: 'slot 1', updater: 'slot 0, counted' },
    { row: 'trial', app: 'slot 1', updater: 'slot 0, counted' },
    { row: 'committing', app: 'slot 1', updater: 'slot 0' },
  ])('leaves the app alone while the updater is on trial: $row', ({ row, app, updater }) => {
    const prefix = prefixOf({ ...idleState(), row, trial: { tx: 7, component: 'updater', slot: '0', tries: 3 } });
    expect(chosen(chooseSlot('app', prefix, null, boot))).toBe(app);
    expect(chosen(chooseSlot('updater', prefix, null, boot))).toBe(updater);
  });

  /** Components that are neither agent nor updater: of today, and of a later updater. */
  const others = [
    { component: 'os', slot: '0' },
    { component: 'os', slot: 'b' },
    { component: 'radio', slot: 'bank-2' },
  ];
  const inTrial = ['armed', 'trial', 'committing'] as const;
  it.each(others.flatMap((other) => inTrial.map((row) => ({ ...other, row }))))(
    'starts the committed versions, uncounted, while $component tries its slot $slot: $row',
    ({ row, ...other }) => {
      const prefix = prefixOf({ ...idleState(), row, trial: { tx: 7, tries: 3, ...other } });
      // Its tries are spent or not: they are not those of what starts here.
      for (const n of [0, 3, bootsMax + 1]) {
        const count = { tx: 7, slot: '1', starts: starts(...Array.from({ length: n }, (_, i) => `b${i}`)) };
        expect(chosen(chooseSlot('app', prefix, count, boot))).toBe('slot 1');
        expect(chosen(chooseSlot('updater', prefix, count, boot))).toBe('slot factory');
      }
    },
  );

  it.each(rows.flatMap((row) => [...others, { component: 'updater', slot: '0' }].map((other) => ({ ...other, row }))))(
    'never starts factory for the agent because $component $slot is on trial: $row',
    ({ row, ...other }) => {
      const prefix = prefixOf({ ...idleState(), row, trial: { tx: 7, tries: 3, ...other } });
      const stopped = ['quiesced', 'snapped', 'returning', 'reverting'].includes(row);
      const expected = row === 'safe' ? 'factory' : stopped ? 'none' : 'slot 1';
      expect(chosen(chooseSlot('app', prefix, null, boot))).toBe(expected);
    },
  );

  it.each(inTrial)('starts factory in %s of another component while there is no proven agent', (row) => {
    const safe = { reason: 'slot-damaged', tx: 0, text: 'main.js has another content' };
    const prefix = prefixOf({ ...idleState(), row, safe, trial: { tx: 7, component: 'os', slot: '0', tries: 3 } });
    expect(chosen(chooseSlot('app', prefix, null, boot))).toBe('factory');
  });

  it.each(['armed', 'trial'] as const)('starts nothing in %s when the tries are spent', (row) => {
    const prefix = prefixOf(stateIn(row));
    const count = (n: number) => ({ tx: 7, slot: '2', starts: starts(...Array.from({ length: n }, () => boot)) });
    expect([0, 1, 2].map((n) => chosen(chooseSlot('app', prefix, count(n), boot)))).toEqual(
      Array(3).fill('slot 2, counted'),
    );
    expect(chooseSlot('app', prefix, count(3), boot)).toEqual({
      start: 'nothing',
      why: 'transaction 7 has no tries left',
    });
  });

  it('does not count the starts of an earlier transaction', () => {
    const count = { tx: 6, slot: '2', starts: starts(boot, boot, boot) };
    expect(chosen(chooseSlot('app', prefixOf(stateIn('trial')), count, boot))).toBe('slot 2, counted');
  });

  it('starts nothing when the transaction ran out of boots, though it has tries left', () => {
    const cycles = (n: number) => ({
      tx: 7,
      slot: '2',
      starts: starts(...Array.from({ length: n }, (_, i) => `b${i}`)),
    });
    const prefix = prefixOf(stateIn('trial'));
    expect(chosen(chooseSlot('app', prefix, cycles(bootsMax - 1), boot))).toBe('slot 2, counted');
    expect(chooseSlot('app', prefix, cycles(bootsMax), boot)).toEqual({
      start: 'nothing',
      why: 'transaction 7 ran out of boots',
    });
  });
});

describe('a row of a newer updater', () => {
  const trial = { tx: 7, component: 'app', slot: '2', tries: 3 } as const;
  it.each(['os', 'updater', 'radio'])('starts the committed agent while that row is of a trial of %s', (component) => {
    const prefix = prefixOf({ ...stateIn('idle'), row: 'pondering', trial: { ...trial, component } });
    expect(chosen(chooseSlot('app', prefix, null, boot))).toBe('slot 1');
    expect(chosen(chooseSlot('updater', prefix, null, boot))).toBe('slot factory');
  });

  it.each([null, trial])(
    'starts the factory agent, which has a state of its own (I1, I3), and the committed updater: %o',
    (of) => {
      const prefix = prefixOf({ ...stateIn('idle'), row: 'pondering', trial: of });
      expect(chooseSlot('app', prefix, null, boot)).toEqual({ start: 'factory' });
      expect(chooseSlot('updater', prefix, null, boot)).toMatchObject({ start: 'slot', counted: false });
    },
  );
});

describe('the starts that were counted', () => {
  it.each([
    { what: 'no start', boots: [], counts: { tries: 0, boots: 0 } },
    { what: 'three starts in this boot', boots: [boot, boot, boot], counts: { tries: 3, boots: 0 } },
    { what: 'a start that the power ended', boots: ['b1'], counts: { tries: 0, boots: 1 } },
    { what: 'two crashes and a power cut', boots: ['b1', 'b1', 'b1'], counts: { tries: 2, boots: 1 } },
    { what: 'a power cut and a start since', boots: ['b1', boot], counts: { tries: 1, boots: 1 } },
    { what: 'crashes in two boots', boots: ['b1', 'b1', boot, boot], counts: { tries: 3, boots: 1 } },
    { what: 'ten power cuts', boots: Array.from({ length: 10 }, (_, i) => `b${i}`), counts: { tries: 0, boots: 10 } },
  ])('$what: $counts.tries tries and $counts.boots boots', ({ boots, counts }) => {
    expect(countStarts(starts(...boots), boot)).toEqual(counts);
  });
});

describe('the prefix of the record', () => {
  it('is understood in a record of a later schema, whatever else that has (I10)', () => {
    const later = {
      ...stateIn('trial'),
      app: 'elsewhere',
      transaction: [1, 2],
      safe: { reason: 'of the future' },
      committed: { app: '1', updater: '0', os: 'b', radio: 7 },
      trial: { tx: 7, component: 'app', slot: '2', tries: 3, patience: 'long' },
    };
    expect(readPrefix(later)).toEqual({
      row: 'trial',
      committed: { app: '1', updater: '0' },
      trial: { tx: 7, component: 'app', slot: '2', tries: 3 },
      isSafe: true,
    });
  });

  const sound = { row: 'idle', committed: { app: '1', updater: '0' }, trial: null };
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['a text', 'idle'],
    ['no row', { ...sound, row: undefined }],
    ['no committed slots', { ...sound, committed: undefined }],
    ['a slot that does not exist', { ...sound, committed: { app: 'A', updater: '0' } }],
    ['a slot that leads elsewhere', { ...sound, committed: { app: '../../tmp', updater: '0' } }],
    ['only one component', { ...sound, committed: { app: '1' } }],
    ['a trial without a slot', { ...sound, row: 'trial', trial: { tx: 1, component: 'app', tries: 3 } }],
    ['a trial slot that leads elsewhere', { ...sound, trial: { tx: 1, component: 'app', slot: '../0', tries: 3 } }],
    ['a trial that is a text', { ...sound, trial: 'yes' }],
  ])('is unknown, and never slot 0, for %s (S6)', (_what, body) => {
    expect(readPrefix(body)).toBeNull();
  });
});
