import { chmodSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directoriesOf } from '../../updater/identity/places.ts';
import { stateOf } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { patienceMs } from '../support/world/wait.ts';
import { endWorld, makeWorld, paceS, serves, untilOf } from './scene.ts';

/** What an appliance loses that nothing can be made of again, or only by somebody else; and what still works then. */
const world = makeWorld();
let runtime: ApplianceBox;
let identity: ApplianceBox;
let newest: Built;
beforeAll(async () => {
  await world.found('1.0.49', paceS);
  newest = await world.builder.app('1.0.54');
  const make = async (name: string) => {
    const trial = { healthyMs: 500, deadlineMs: patienceMs };
    const box = await world.addAppliance(name, { trial, settings: { sampleMs: 100 } });
    await box.powerOn();
    await serves(box, '1.0.49');
    return box;
  };
  runtime = await make('runtime');
  identity = await make('identity');
});
afterAll(() => endWorld(world));

const self = process.getuid?.() ?? 0;
const isRoot = self === 0;

const restart = async (box: ApplianceBox, damage: () => void): Promise<void> => {
  await box.powerOff();
  damage();
  await box.powerOn();
};

describe('an appliance that has lost its runtimes, which factory shares', () => {
  it('says so in status and why, and a bundle from a file brings runtime and agent back', async () => {
    expect((await runtime.updaterProgram(['install', newest.path])).exitCode).toBe(0);
    await world.server.stop();
    await restart(runtime, () => rmSync(runtime.layout.runtimes, { recursive: true }));
    const status = await untilOf(runtime, 'is in safe mode', async () => {
      const found = await runtime.status();
      return found.row === 'safe' ? found : null;
    });
    expect(status.why).toMatch(/the files of 1\.0\.54 are damaged \(no-seal at runtime\/\.seal in the runtime of slot/);
    expect(status.why).toMatch(/No agent runs, because the factory agent is damaged too/);
    expect(status.why).not.toMatch(/factory agent runs/);
    const roles = status.slots.filter(({ component }) => component === 'app').map(({ slot, role }) => [slot, role]);
    expect(roles).toContainEqual([stateOf(runtime).app.committed.slot, 'damaged']);
    expect((await runtime.updaterProgram(['install', newest.path])).exitCode).toBe(0);
    await serves(runtime, '1.0.54');
    expect(stateOf(runtime)).toMatchObject({ row: 'idle', safe: null });
    await world.server.start(Number(new URL(world.server.url).port), paceS);
  });

  it('gets the very release that it lost from the server, where that is rolled out', async () => {
    await world.publish(newest);
    await world.server.startRollout('1.0.54', ['runtime']);
    await restart(runtime, () => rmSync(runtime.layout.runtimes, { recursive: true }));
    await untilOf(runtime, 'was in safe mode', async () => {
      return (await runtime.status()).row === 'safe' ? true : null;
    });
    await serves(runtime, '1.0.54');
    await untilOf(runtime, 'is at rest', () => (stateOf(runtime).row === 'idle' ? true : null));
    expect(stateOf(runtime)).toMatchObject({ safe: null });
  });
});

describe('an appliance whose identity is damaged', () => {
  const { name } = { name: 'identity.json' };
  it('goes on with the copy beside it', async () => {
    const { layout } = identity;
    writeFileSync(layout.identity, '{"x');
    await untilOf(identity, 'has its identity put back', () =>
      readFileSync(layout.identity, 'utf8') === readFileSync(`${layout.identity}.good`, 'utf8') ? true : null,
    );
    const told = await untilOf(identity, 'tells the server of it', async () => {
      const notes = await world.server.events('identity', 'note');
      return notes.find(({ text }) => text.includes(name)) ?? null;
    });
    expect(told.text).toContain('the copy beside it is in force');
    // For a person who looks later.
    await untilOf(identity, 'says so in its status', async () =>
      JSON.stringify((await identity.status()).notices ?? []).includes(name) ? true : null,
    );
  });

  it('and whose copy too works on without a server, says so, and is claimed again', async () => {
    const { layout } = identity;
    await restart(identity, () => {
      for (const path of [layout.identity, `${layout.identity}.good`]) writeFileSync(path, '{"x');
    });
    const status = await untilOf(identity, 'says so', async () => {
      const found = await identity.status();
      return found.appliance === null && found.notices !== undefined ? found : null;
    });
    expect(status).toMatchObject({ appliance: null, server: null });
    expect((await identity.updaterProgram(['why'])).stdout).toMatch(/identity is damaged.*Claim it again/);
    const credentials = readFileSync(layout.agentCredentials, 'utf8');
    expect((await identity.updaterProgram(['install', newest.path])).exitCode).toBe(0);
    await serves(identity, '1.0.54');
    expect((await identity.updaterProgram(['rollback'])).exitCode).toBe(0);
    await serves(identity, '1.0.49');
    expect(readFileSync(layout.agentCredentials, 'utf8')).toBe(credentials);

    // The server gives no name twice, also where the appliance stays the same.
    const claim = `${layout.updater}/claim`;
    writeFileSync(claim, await world.server.claim('identity-2', 'harbour'), { mode: 0o600 });
    await identity.updaterProgram(['setup', '--server', world.server.url, '--claim-file', claim, '--json']);
    const again = await untilOf(identity, 'has checked in under its new name', async () => {
      const found = await identity.status();
      return found.name === 'identity-2' && found.checkIn.last !== null && found.notices === undefined ? found : null;
    });
    expect(again.server).toBe(world.server.url);
    await serves(identity, '1.0.49');
  });
});

describe('an appliance whose directories others may enter and own', () => {
  it('puts each of them right in its next run, and says so', async () => {
    const { layout } = identity;
    await identity.powerOff();
    // Without root there is nobody else to own them.
    const stranger = isRoot ? 64_321 : self;
    const places = directoriesOf(layout).filter(({ owner, isMade }) => owner === 'root' && isMade);
    for (const { path } of places) {
      chmodSync(path, 0o777);
      chownSync(path, stranger, stranger);
    }
    for (const path of [layout.counter, layout.answerKeys]) {
      chmodSync(path, 0o666);
      chownSync(path, stranger, stranger);
    }
    await identity.powerOn();
    const wanted = [
      ...places.map(({ path, mode }) => ({ path, mode })),
      { path: layout.counter, mode: 0o600 },
      { path: layout.answerKeys, mode: 0o644 },
      { path: join(layout.updater, 'lock.db'), mode: 0o600 },
    ];
    await untilOf(identity, 'has all as the table has them', () =>
      wanted.every(({ path, mode }) => {
        const { mode: found, uid } = statSync(path);
        return uid === self && (found & 0o7777) === mode;
      })
        ? true
        : null,
    );
  });
});
