import { openAsBlob, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { freePort } from '../support/world/free-port.ts';
import { endWorld, makeWorld, paceS, patient, serves, told, trialOf, untilOf } from './scene.ts';

/** A technician on site, the server away, the agent crashing: what helps is on the field page (S13). */
const world = makeWorld();
let box: ApplianceBox;
let page = '';
let fix: Built;

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
    trial: trialOf(1_000),
    settings: patient,
  });
  await box.powerOn();
  await serves(box, '1.0.49');
  fix = await world.builder.app('1.0.52');
  await world.server.sendOrder('onsite', 'update_iso');
  await untilOf(box, 'crashes', async () => ((await box.status()).agent.crashes > 0 ? true : null));
  await world.server.stop();
});

afterAll(() => endWorld(world));

describe('the field page, without the server', () => {
  it('S13: says what is wrong, while the agent is dead and nothing outside answers', async () => {
    const text = await untilOf(box, 'tells it on its page', async () => {
      const html = await textOf();
      return html.includes('crashed') && html.includes('The server was not reached: http:') ? html : null;
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

  it('S13: says of a file of what runs already that nothing was changed, and keeps no file', async () => {
    const form = new FormData();
    form.append('pin', box.pin);
    form.append('file', await openAsBlob(fix.path), 'app-1.0.52.hfb');
    expect((await submit('/install', form)).status).toBeLessThan(400);
    const ended = await untilOf(box, 'answers', async () => {
      const { lastRequest } = await box.status();
      return lastRequest?.text.includes('nothing was changed') ? lastRequest : null;
    });
    expect(ended).toMatchObject({ outcome: 'done', text: '1.0.52 is what runs; nothing was changed' });
    expect(told((await serves(box, '1.0.52')).transactions)).toEqual(['1.0.49 -> 1.0.52 committed']);
    expect(readdirSync(box.layout.uploads)).toEqual([]);
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
    // What a person left comes back only by its name, which the page's form has.
    const [left] = (await box.status()).quarantine;
    const answer = await submit('/retry', new URLSearchParams({ pin: box.pin, manifest: left?.manifest ?? '' }));
    expect(answer.status).toBeLessThan(400);
    await untilOf(box, 'has nothing in quarantine', async () =>
      (await box.status()).quarantine.length === 0 ? true : null,
    );
    expect((await box.status()).lastRequest?.text).toContain('1.0.52 may be tried again');
  });
});
