import { openAsBlob } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, serves, told } from './scene.ts';

/** A technician on site, the server away, the agent crashing: what helps is on the field page (S13). */
const world = makeWorld();
let box: ApplianceBox;
let page = '';
let fix: Built;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** As a browser submits a form of the page. */
function submit(path: string, body: FormData | URLSearchParams): Promise<Response> {
  return fetch(page + path, { method: 'POST', body, headers: { origin: page }, redirect: 'manual' });
}

async function textOf(): Promise<string> {
  return (await fetch(page)).text();
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const port = await freePort();
  page = `http://127.0.0.1:${port}`;
  box = await world.addAppliance('onsite', {
    pagePort: port,
    trial: { healthyMs: 1_000, deadlineMs: 20_000 },
    settings: { sampleMs: 100 },
  });
  await box.powerOn();
  await serves(box, '1.0.49');
  fix = await world.builder.app('1.0.52');
  await world.server.sendOrder('onsite', 'update_iso');
  await until('the agent crashes', comesWithinMs, async () => ((await box.status()).agent.crashes > 0 ? true : null));
  await world.server.stop();
});

afterAll(() => endWorld(world));

describe('the field page, without the server', () => {
  it('S13: says what is wrong, while the agent is dead and nothing outside answers', async () => {
    const text = await until('the page tells it', comesWithinMs, async () => {
      const html = await textOf();
      return html.includes('crashed') ? html : null;
    });
    expect(text).toContain('1.0.49');
  });

  it('S13: refuses a wrong PIN, and nothing happens', async () => {
    const answer = await submit('/rollback', new URLSearchParams({ pin: '00000000' }));
    expect(answer.status).toBe(403);
    expect((await box.status()).transactions).toEqual([]);
  });

  it('S13: installs the fix from a file', async () => {
    const form = new FormData();
    form.append('pin', box.pin);
    form.append('file', await openAsBlob(fix.path), 'app-1.0.52.hfb');
    const answer = await submit('/install', form);
    expect(answer.status).toBeLessThan(400);
    const status = await serves(box, '1.0.52');
    expect(told(status.transactions)).toEqual(['1.0.49 -> 1.0.52 committed']);
  });

  it('S13: goes back, and what was left is not taken again by itself', async () => {
    const answer = await submit('/rollback', new URLSearchParams({ pin: box.pin }));
    expect(answer.status).toBeLessThan(400);
    const status = await serves(box, '1.0.49');
    expect(status.quarantine.map(({ version, reason }) => [version, reason])).toEqual([['1.0.52', 'by hand']]);
    const committed = status.slots.find(({ component, role }) => component === 'app' && wordOf(role) === 'committed');
    expect(committed).toMatchObject({ slot: 'factory', version: '1.0.49' });
  });

  it('S13: lets what was left be tried again', async () => {
    const answer = await submit('/retry', new URLSearchParams({ pin: box.pin }));
    expect(answer.status).toBeLessThan(400);
    await until('nothing is in quarantine', comesWithinMs, async () =>
      (await box.status()).quarantine.length === 0 ? true : null,
    );
    expect((await box.status()).lastRequest?.text).toContain('1.0.52 may be tried again');
  });
});
