import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applianceViewShape } from '../../server-lite/operator/shapes.ts';
import { stateOf } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { endWorld, makeWorld, paceS, patient, serves, trialOf, untilOf } from './scene.ts';

const name = 'quay';
const world = makeWorld();
const media = join(world.dir, 'media');
const stick = join(media, 'usb0');

interface Scene {
  readonly box: ApplianceBox;
  readonly port: number;
  readonly older: Built;
  readonly newer: Built;
}
const scene: { now: Scene | null } = { now: null };
function here(): Scene {
  if (scene.now === null) throw new Error('the set-up did not end');
  return scene.now;
}
const put = ({ path, version }: Built) => copyFileSync(path, join(stick, `app-${version}.hfb`));

/** Until the status tells this of a file on the stick. */
const told = (version: string, text: string) =>
  untilOf(here().box, `tells of ${version} on the stick`, async () => {
    const found = (await here().box.status()).sticks?.find((one) => one.path.includes(version));
    return found?.text.includes(text) ? found : null;
  });

beforeAll(async () => {
  mkdirSync(stick, { recursive: true });
  await world.found('1.0.49', paceS);
  const older = await world.builder.app('1.0.52');
  await world.publish(older);
  const newer = await world.builder.app('1.0.54');
  const options = { trial: trialOf(500), settings: { ...patient, sticks: [media] } };
  const box = await world.addAppliance(name, options);
  scene.now = { box, port: Number(new URL(world.server.url).port), older, newer };
  await box.powerOn();
  await serves(box, '1.0.49');
  // From here on nobody answers the appliance.
  await world.server.stop();
});

afterAll(async () => {
  await endWorld(world);
});

describe('what may be installed, and who says so', () => {
  it('a release that appears on a mounted stick is installed by itself, without a network', async () => {
    const { box, newer } = here();
    put(newer);
    await serves(box, '1.0.54');
    expect(stateOf(box).app).toMatchObject({ committed: { version: '1.0.54' }, previous: { version: '1.0.49' } });
    expect((await told('1.0.54', 'what runs')).version).toBe('1.0.54');
  });

  it('an older one beside it is told of and left alone', async () => {
    put(here().older);
    await told('1.0.52', 'not newer than 1.0.54');
    expect(stateOf(here().box).app.committed.version).toBe('1.0.54');
  });

  it('a revocation that a stick brings forbids going back to it, and what runs goes on (I7)', async () => {
    const { box } = here();
    const pid = box.agentPid();
    await world.builder.revoke('app', '1.0.49');
    const bringer = await world.builder.unpatched('1.0.53');
    put(bringer);
    await told('1.0.53', 'not newer');
    expect((await box.status()).back).toMatchObject({ version: '1.0.49', refused: { code: 'revoked' } });
    await expect(box.updaterProgram(['rollback', '--json'])).rejects.toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('"code":"revoked"'),
    });
    expect(box.agentPid()).toBe(pid);
    expect(stateOf(box).app.committed.version).toBe('1.0.54');
  });

  it('a release that an operator assigns to the appliance is installed, though it is older and a newer one lies on the stick', async () => {
    const { box, port } = here();
    await world.server.start(port, paceS);
    const id = (await world.server.appliance(name)).id;
    await world.server.api(applianceViewShape, 'POST', `/api/appliances/${id}/assign`, { version: '1.0.52' });
    await serves(box, '1.0.52');
    await told('1.0.54', 'only a person can install it');
    await told('1.0.53', 'only a person can install it');
    const view = await untilOf(box, 'tells the server of it', async () => {
      const found = await world.server.appliance(name);
      return found.reported.updater.app?.version === '1.0.52' ? found : null;
    });
    expect(view).toMatchObject({ assigned: ['app 1.0.52'], reasons: ['it has app 1.0.52, which is assigned to it'] });
  });
});
