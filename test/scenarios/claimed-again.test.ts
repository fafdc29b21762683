import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimAnswerShape } from '../../server-lite/operator/shapes.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { freePort } from '../support/world/free-port.ts';
import { until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, serves, untilOf } from './scene.ts';

/** An appliance is retired by mistake, and claimed again: the same one, with the same name, and all that it wrote meanwhile. */
const world = makeWorld();
const name = 'ท่าเรือ-1';
let box: ApplianceBox;
let page = '';

const pathOf = (rest: string) => `/api/appliances/${encodeURIComponent(name)}/${rest}`;
const recordNames = async (of: string) => (await world.server.records(of)).map((record) => record.name);

function recordsAbove(of: string, count: number): Promise<string[]> {
  return until(`more than ${count} records of ${of}`, comesWithinMs, async () => {
    const found = await recordNames(of);
    return found.length > count ? found : null;
  });
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const port = await freePort();
  page = `http://127.0.0.1:${port}`;
  box = await world.addAppliance(name, { pagePort: port });
  await box.powerOn();
  await serves(box, '1.0.49');
});

afterAll(() => endWorld(world));

describe('an appliance with a name of another script', () => {
  it('is called by that name, whole, on its page, its command line and the server', async () => {
    const html = await untilOf(box, 'has a page', async () => {
      const answer = await fetch(page).catch(() => null);
      return answer?.status === 200 ? answer.text() : null;
    });
    expect(html).toContain(`<p>${name}, as of`);
    expect((await box.updaterProgram(['status'])).stdout).toContain(name);
    expect((await world.server.appliance(name.normalize('NFD'))).name).toBe(name);
  });
});

describe('an appliance that was retired', () => {
  let id = '';
  let before: string[] = [];

  it('works on, and says on both sides that it is retired', async () => {
    ({ id } = await world.server.appliance(name));
    before = await recordsAbove(name, 3);
    await world.server.api(z.unknown(), 'POST', pathOf('retire'));
    await untilOf(box, 'knows that it is retired', async () => {
      const { error } = (await box.status()).checkIn;
      return error?.code === 'retired' ? error : null;
    });
    await serves(box, '1.0.49');
    expect((await world.server.appliance(`${name} (retired)`)).state).toBe('retired');
  });

  it('comes back by a claim for that very one: updater and agent check in, and nothing was lost', async () => {
    const { claim } = await world.server.api(claimAnswerShape, 'POST', '/api/claims', { name, again: true });
    await box.setUp(world.server.url, claim);
    expect(box.id).toBe(id);
    const view = await untilOf(box, 'its updater checks in', async () => {
      const found = (await world.server.appliances()).find((one) => one.id === id);
      return found?.state !== 'retired' && found?.checkIns.updater !== null ? found : null;
    });
    expect(view?.name).toBe(name);
    const after = await recordsAbove(name, before.length);
    expect(after).toEqual(expect.arrayContaining(before));
  });
});
