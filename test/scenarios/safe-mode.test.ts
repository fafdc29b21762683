import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeRecord } from '../../protocol/record.ts';
import { stateOf } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { endWorld, makeWorld, paceS, patient, serves, told, trialOf, untilOf } from './scene.ts';

/** What the disk loses while the power is off: a slot, both slots, the records; and how each is left. */
const world = makeWorld();
const names = ['slot', 'slots', 'records', 'future'] as const;
type Name = (typeof names)[number];
const boxes = new Map<string, ApplianceBox>();
const boxOf = (name: Name): ApplianceBox => {
  const box = boxes.get(name);
  if (box === undefined) throw new RangeError(name);
  return box;
};
let older: Built;
let newest: Built;

/** One bit of a slot's program: its size stays, so only the hash tells. */
function rot(box: ApplianceBox, slot: string): void {
  const path = join(box.layout.slot('app', slot), 'main.js');
  const bytes = readFileSync(path);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const restart = async (box: ApplianceBox, damage: () => void): Promise<void> => {
  await box.powerOff();
  damage();
  await box.powerOn();
};

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  older = await world.builder.app('1.0.52');
  newest = await world.builder.app('1.0.54');
  await world.publish(older, newest);
  for (const name of names) {
    const trial = trialOf(500);
    const box = await world.addAppliance(name, { trial, settings: patient });
    boxes.set(name, box);
    await box.powerOn();
  }
  await world.server.startRollout('1.0.52');
  for (const name of names) await serves(boxOf(name), '1.0.52');
  // Each is on in its own test only: four at once are much work for a small machine.
  for (const name of names) await boxOf(name).powerOff();
});

afterEach(async () => {
  for (const box of boxes.values()) await box.powerOff();
});
afterAll(() => endWorld(world));

describe('an appliance whose disk has lost', () => {
  it('the committed slot goes back by itself to the version before, and gets the damaged one anew', async () => {
    const box = boxOf('slot');
    const { slot } = stateOf(box).app.committed;
    await restart(box, () => rot(box, slot));
    const lines = await untilOf(box, 'has both repaired', async () => {
      const { row, agent, transactions } = await box.status();
      return row === 'idle' && agent.version === '1.0.52' && transactions.length === 3 ? transactions : null;
    });
    expect(told(lines)).toEqual([
      '1.0.49 -> 1.0.52 committed',
      '1.0.52 -> 1.0.49 committed',
      '1.0.49 -> 1.0.52 committed',
    ]);
    expect(stateOf(box).quarantine).toEqual([]);
    await untilOf(box, 'tells the server of it', async () => {
      const events = await world.server.events('slot', 'safe-mode');
      return events.some(({ text }) => text.includes('wrong-content at main.js')) ? true : null;
    });
  });

  it('every slot says so and waits in safe mode, and a bundle from a file brings it back', async () => {
    const box = boxOf('slots');
    await world.server.stop();
    await restart(box, () => {
      for (const slot of ['0', '1', '2', 'factory']) {
        try {
          rot(box, slot);
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
        }
      }
    });
    const status = await untilOf(box, 'is in safe mode', async () => {
      const found = await box.status();
      return found.row === 'safe' ? found : null;
    });
    expect(status.verdict.word).toBe('safe');
    expect(status.why).toMatch(/^Safe mode: the files of 1\.0\.52 are damaged \(wrong-content at main\.js/);
    expect((await box.updaterProgram(['install', older.path])).exitCode).toBe(0);
    await serves(box, '1.0.52');
    expect(stateOf(box)).toMatchObject({ row: 'idle', safe: null });
    await world.server.start(Number(new URL(world.server.url).port), paceS);
  });

  it.each([
    ['zeroed', (path: string) => writeFileSync(path, Buffer.alloc(4_096))],
    ['gone', (path: string) => rmSync(path)],
  ])(
    'its state records (%s) finds out from its slots what was committed, and goes on with its data',
    async (_what, lose) => {
      const box = boxOf('records');
      const before = stateOf(box);
      await restart(box, () => {
        for (const path of box.layout.stateRecords) lose(path);
      });
      await serves(box, '1.0.52');
      const start = JSON.parse(readFileSync(join(box.layout.launchedComponent('app'), 'start.json'), 'utf8'));
      expect(start).toMatchObject({ slot: before.app.committed.slot, stateDir: box.layout.agent });
      const { app, lastTx, floor } = stateOf(box);
      expect([app, floor]).toEqual([before.app, before.floor]);
      expect(lastTx).toBeGreaterThanOrEqual(before.lastTx);
    },
  );
});

describe('an appliance whose records are those of a newer updater, in a row that this one does not know', () => {
  it('changes nothing and says so; the factory agent runs on a state of its own, and a bundle from a person ends it', async () => {
    const box = boxOf('future');
    const before = stateOf(box);
    const { slot } = before.app.committed;
    const newer = { ...before, row: 'pondering', mood: { of: 'the future' } };
    const bytes = encodeRecord({ seq: 9_000, schema: 7, body: newer });
    await restart(box, () => writeFileSync(box.layout.stateRecords[0], bytes));
    const status = await untilOf(box, 'says so', async () => {
      const found = await box.status();
      return found.row === 'safe' && found.agent.version === '1.0.49' ? found : null;
    });
    expect(status.why).toMatch(
      /^The state record has schema 7, this updater knows 1; the factory agent runs on a state of its own\. Nothing is changed/,
    );
    expect(readFileSync(box.layout.stateRecords[0]).equals(bytes)).toBe(true);
    expect(status.slots.find((one) => one.component === 'app' && one.slot === slot)?.role).toBe('committed');

    await expect(box.updaterProgram(['rollback'])).rejects.toThrow(/records-newer/);
    expect((await box.updaterProgram(['install', newest.path])).exitCode).toBe(0);
    await serves(box, '1.0.54');
    expect(stateOf(box)).toMatchObject({ row: 'idle', app: { committed: { version: '1.0.54' } } });
    expect(stateOf(box).lastTx).toBeGreaterThan(before.lastTx);
    expect(readFileSync(join(box.layout.updater, 'state.newer.0')).equals(bytes)).toBe(true);
  });
});
