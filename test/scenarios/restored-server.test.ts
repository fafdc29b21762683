import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { checkout } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, untilOf } from './scene.ts';

/** The server is lost and restored from a backup that is older than what its appliance has sent since. */
const world = makeWorld();
const recordsMade = 8;
let box: ApplianceBox;

async function holdfastServer(...args: string[]): Promise<void> {
  await execa(process.execPath, [join(checkout, 'server-lite', 'main.ts'), ...args]);
}

const records = async (): Promise<number[]> => (await world.server.records('ledger')).map(({ n }) => n);

/** Until the server has so many records more than these. */
function grown(than: readonly number[]): Promise<number[]> {
  return until('more records', comesWithinMs, async () => {
    const now = await records();
    return now.length >= than.length + recordsMade ? now : null;
  });
}

const noted = async (kind: string): Promise<string[]> => {
  return (await world.server.events('ledger', kind)).map(({ text }) => text);
};

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  box = await world.addAppliance('ledger');
  await box.powerOn();
});

afterAll(() => endWorld(world));

it('has every record again, and says which were missing until they arrived', async () => {
  const file = join(world.dir, 'backup.tar');
  const saved = await grown([]);
  await holdfastServer('backup', '--data', world.server.dir, '--out', file);
  const lost = await grown(saved);
  const port = Number(new URL(world.server.url).port);
  await world.server.stop('SIGKILL');
  await holdfastServer('restore', '--data', world.server.dir, '--from', file, '--replace');
  await world.server.start(port, paceS);
  const again = await until('every record', comesWithinMs, async () => {
    const now = await records();
    return now.length > lost.length && lost.every((n) => now.includes(n)) ? now : null;
  });
  expect(new Set(again).size).toBe(again.length);
  const arrived = await until('the word that they arrived', comesWithinMs, async () => {
    const [text] = await noted('agent-events-arrived');
    return text ?? null;
  });
  const [missing] = await noted('agent-events-missing');
  expect(missing).toMatch(
    /^(events \d+-\d+ of its agent are|event \d+ of its agent is) missing here: this server was restored from an older backup/,
  );
  expect(arrived).toBe(`${missing?.replace(/ (are|is) missing.*/, '')} arrived after all`);
  // What the backup knew of it is old: it is ok once both its parts have checked in again.
  await untilOf(box, 'is ok', async () => {
    const { state } = await world.server.appliance('ledger');
    return state === 'ok' ? state : null;
  });
});
