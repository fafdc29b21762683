import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { committed, endWorld, makeWorld, paceS, patient, serves, trialOf, untilOf } from './scene.ts';

/** An appliance that loses updater/trust: what it begins with lies beside it a second time, and nothing stays "ok" without it. */
const world = makeWorld();
let box: ApplianceBox;
beforeAll(async () => {
  await world.found('1.0.49', paceS);
  box = await world.addAppliance('cellar', { trial: trialOf(500), settings: patient });
  await box.powerOn();
  await serves(box, '1.0.49');
});
afterAll(() => endWorld(world));

/** As a broken disk leaves it: a file in the place of the directory. */
async function loseTrust(more: readonly string[] = []): Promise<void> {
  await box.powerOff();
  rmSync(box.layout.trust, { recursive: true });
  writeFileSync(box.layout.trust, 'a file');
  for (const path of more) rmSync(path);
  await box.powerOn();
}

/** The server hears of a commit before the appliance's own status tells it. */
async function saysNoMore(): Promise<void> {
  await untilOf(box, 'has nothing more to tell', async () => {
    const status = await box.status();
    return status.notices === undefined ? status : null;
  });
}

describe('an appliance whose updater/trust was replaced by a file', () => {
  it('begins its trust anew from the copy, says so, and installs the next release', async () => {
    await loseTrust();
    const notes = await untilOf(box, 'tells the server of it', async () => {
      const texts = (await world.server.events('cellar', 'note')).map(({ text }) => text);
      return texts.some((text) => text.includes('is begun anew from its copy')) ? texts.join('\n') : null;
    });
    expect(notes).not.toContain('note of this boot');
    await world.publish(await world.builder.unpatched('1.0.52'));
    await world.server.startRollout('1.0.52');
    await committed(world, 'cellar', '1.0.52');
    await saysNoMore();
  });

  it('and whose copy is gone too says so at once, everywhere, and is claimed again', async () => {
    await loseTrust([box.layout.trustBegins]);
    const told = /lost its root of trust: releases cannot be verified; claim it again/;
    const status = await untilOf(box, 'says so', async () => {
      const found = await box.status();
      return found.notices !== undefined && found.verdict.word !== 'unknown' ? found : null;
    });
    expect(status.notices?.join()).toMatch(told);
    expect(status.verdict).toMatchObject({ word: 'attention', sentence: expect.stringMatching(told) });
    expect((await box.updaterProgram(['why'])).stdout).toMatch(told);
    await untilOf(box, 'tells the server the same', async () => {
      const { state, sentence } = await world.server.appliance('cellar');
      return state === 'attention' && told.test(sentence) ? sentence : null;
    });

    // The server gives no name twice, also where the appliance stays the same.
    const claim = `${box.layout.updater}/claim`;
    writeFileSync(claim, await world.server.claim('cellar-2', 'harbour'), { mode: 0o600 });
    await box.updaterProgram(['setup', '--server', world.server.url, '--claim-file', claim, '--json']);
    expect(JSON.parse(readFileSync(box.layout.trustBegins, 'utf8')).roots).toHaveLength(1);
    await world.publish(await world.builder.unpatched('1.0.53'));
    await world.server.startRollout('1.0.53');
    await committed(world, 'cellar-2', '1.0.53', box);
    await saysNoMore();
  });
});
