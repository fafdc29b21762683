import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyChange } from '../../image/ceremony/apply-change.ts';
import { readChange } from '../../image/ceremony/change.ts';
import { writeMetadataBundle } from '../../image/ceremony/metadata-bundle.ts';
import { rotateKeys } from '../../image/ceremony/rotate-keys.ts';
import { noPassphrase } from '../../image/keys/passphrase.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import { answerKeysShape } from '../../protocol/answer-keys.ts';
import { decodeClaim } from '../../protocol/claim.ts';
import { keyIdOf } from '../../protocol/ids.ts';
import { ApplianceBox } from '../support/world/appliance-box.ts';
import { committed, ended, endWorld, makeWorld, paceS, patient, serves, trialOf, untilOf } from './scene.ts';

/** The server's answer key is replaced while a fleet is out there: nobody is cut off, and the old key is worth nothing. */
const world = makeWorld();
const options = { trial: trialOf(500), settings: patient };
let box: ApplianceBox;
let waitingOrder = '';
let oldClaim = '';
let oldKey = '';

const serverKey = async () => (await readServerKeys(world.server.publicKeys)).answer;

/** What a release engineer does with `holdfast keys rotate` and `release publish`. */
async function replaceAnswerKey(): Promise<void> {
  const dir = join(world.builder.dir, 'repository');
  const { path } = await rotateKeys({
    ...{ dir, role: 'answer', remove: [], add: [], isNew: false, threshold: null, out: null, isDry: false },
    ...{ serverKeys: await readServerKeys(world.server.publicKeys), now: new Date() },
    ...{ passphrases: noPassphrase, newPassphrase: async () => null },
  });
  const { metadata } = await applyChange(dir, await readChange(path));
  await world.server.publish(await writeMetadataBundle(dir, metadata));
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  box = await world.addAppliance('harbour-1', options);
  await box.powerOn();
  await serves(box, '1.0.52');
  oldKey = await serverKey();
  oldClaim = await world.server.claim('harbour-2', 'harbour');
  await box.powerOff();
  waitingOrder = (await world.server.sendOrder('harbour-1', 'run-checks')).id;
  await replaceAnswerKey();
});

afterAll(() => endWorld(world));

describe('a server that has another answer key now', () => {
  it('is believed again by both programs of an appliance that slept meanwhile, and its waiting order runs', async () => {
    expect(await serverKey()).not.toBe(oldKey);
    const before = (await world.server.appliance('harbour-1')).checkIns;
    await box.powerOn();
    await untilOf(box, 'checks in with both programs', async () => {
      const { checkIns } = await world.server.appliance('harbour-1');
      return (checkIns.agent?.atMs ?? 0) > (before.agent?.atMs ?? 0) &&
        (checkIns.updater?.atMs ?? 0) > (before.updater?.atMs ?? 0)
        ? true
        : null;
    });
    expect(await ended(world, waitingOrder)).toMatchObject({ state: 'succeeded' });
    const told = answerKeysShape.parse(JSON.parse(await readFile(box.layout.answerKeys, 'utf8')));
    expect(told.answerKeys).toEqual([await serverKey()]);
  });

  it('gets its next release and its next order to that appliance', async () => {
    const release = await world.builder.unpatched('1.0.70');
    await world.publish(release);
    await world.server.startRollout('1.0.70');
    await committed(world, 'harbour-1', '1.0.70');
    const { id } = await world.server.sendOrder('harbour-1', 'identify');
    expect(await ended(world, id)).toMatchObject({ state: 'succeeded' });
  });

  it('can be claimed by a code that was made before', async () => {
    expect(decodeClaim(oldClaim).key).toBe(keyIdOf(Buffer.from(oldKey, 'hex')));
    const { os, logs } = box.options;
    const root = join(world.dir, 'harbour-2');
    const late = new ApplianceBox({ name: 'harbour-2', root, os, logs, timerMs: 1_000, pagePort: null, ...options });
    world.appliances.push(late);
    await late.setUp(world.server.url, oldClaim);
    await late.powerOn();
    await untilOf(late, 'checks in with both programs', async () => {
      const { checkIns } = await world.server.appliance('harbour-2');
      return checkIns.agent !== null && checkIns.updater !== null ? true : null;
    });
  });
});
