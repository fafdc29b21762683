import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../protocol/digest.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { sealShape } from '../../protocol/seal.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { releaseListShape } from '../../server-lite/operator/shapes.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import {
  agentOf,
  comesWithinMs,
  committed,
  ended,
  endWorld,
  historyOf,
  imageWith,
  launchedSlot,
  makeWorld,
  mappedSlotFiles,
  paceS,
  patient,
  serves,
  told,
  trialOf,
  untilOf,
} from './scene.ts';

/**
 * Appliance elm: factory 1.0.49, and its data directory is reached through a link. Appliance oak: factory 1.0.52, and
 * its updater's timer is so long that only a hint makes it run. Two releases are decided on while elm is off.
 */
const world = makeWorld();
const disk = join(world.dir, 'disk');
const wanted = '1.0.54';
const trial = trialOf(500);
const longTimerMs = 3_600_000;
let elm: ApplianceBox;
let oak: ApplianceBox;
/** An order from before the newer decisions, which crashes 1.0.49 at each delivery. */
let oldOrder: string;

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  mkdirSync(join(disk, 'elm'), { recursive: true });
  symlinkSync(join(disk, 'elm'), join(world.dir, 'elm'));
  elm = await world.addAppliance('elm', { trial, settings: patient });
  const older = await world.builder.app('1.0.52');
  await world.publish(older);
  oak = await world.addAppliance('oak', {
    os: imageWith(world, older),
    trial,
    settings: patient,
    timerMs: longTimerMs,
  });
  await oak.powerOn();
  await world.publish(await world.builder.app(wanted));
  oldOrder = (await world.server.sendOrder('elm', 'update_iso')).id;
  await world.server.startRollout('1.0.52', ['elm']);
  await world.server.startRollout(wanted, ['elm']);
});

afterAll(() => endWorld(world));

function sealOf(directory: string) {
  return sealShape.parse(JSON.parse(readFileSync(join(directory, '.seal'), 'utf8')));
}

describe('an appliance of which nothing is known', () => {
  it.each(['status', 'why'])('S6: has no %s: that is an error, and no slot is named', async (command) => {
    const nowhere = ['--root', join(disk, 'nowhere'), '--json'];
    const main = join(world.os, 'updater', 'main.js');
    const run = await execa(join(world.os, 'node'), [main, command, ...nowhere], { reject: false });
    expect([run.exitCode, run.stdout]).toEqual([1, '']);
    expect(JSON.parse(run.stderr)).toMatchObject({ code: 'status-unknown' });
  });
});

describe('an appliance that was off while two releases were decided on', () => {
  beforeAll(async () => {
    // What an older mechanism may have left in the slot that is written next.
    const slot = elm.layout.slot('app', '0');
    mkdirSync(join(slot, 'app'), { recursive: true });
    writeFileSync(join(slot, 'app', 'overlay.js'), 'throw new Error("half old")');
    await elm.powerOn();
  });

  it('S60: takes the newest one in one step, with an older order still open', async () => {
    await committed(world, 'elm', wanted);
    expect(told(await historyOf(elm, 1))).toEqual([`1.0.49 -> ${wanted} committed`]);
    expect((await ended(world, oldOrder)).state).toBe('succeeded');
  });

  it('S25: is judged by version and digest, whatever links lead to its files', async () => {
    expect(realpathSync(elm.options.root)).not.toBe(elm.options.root);
    const { slots } = await serves(elm, wanted);
    const slot = slots.find((one) => one.component === 'app' && wordOf(one.role) === 'committed');
    const published = (await world.server.api(releaseListShape, 'GET', '/api/releases')).releases;
    expect(slot).toMatchObject({ version: wanted, slot: '0' });
    expect(slot?.manifest).toBe(published.find((one) => one.version === wanted)?.manifest);
  });

  it('S11: has one version, that of its manifest, wherever it is looked for', async () => {
    const directory = launchedSlot(elm);
    const manifestBytes = readFileSync(join(directory, '.manifest.json'));
    const { stdout } = await execa(join(elm.layout.launchedComponent('app'), 'runtime', 'bin', 'node'), [
      join(directory, sealOf(directory).entry),
      '--version',
    ]);
    const view = await world.server.appliance('elm');
    const status = await serves(elm, wanted);
    const manifest = sha256(manifestBytes);
    expect({
      manifest: manifestShape.parse(JSON.parse(manifestBytes.toString('utf8'))).version,
      seal: sealOf(directory).version,
      program: stdout,
      health: status.agent.version,
      agent: view.reported.agent.app,
      updater: view.reported.updater.app,
    }).toEqual({
      manifest: wanted,
      seal: wanted,
      program: wanted,
      health: wanted,
      agent: { version: wanted, slot: '0', manifest },
      updater: { version: wanted, slot: '0', manifest },
    });
  });

  it('S29: runs from one whole slot: its files are those of its manifest, and no others', async () => {
    const directory = launchedSlot(elm);
    const ours = new Set(['.seal', '.manifest.json', '.committed']);
    const found = readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
      .filter((path) => !ours.has(path));
    const { files } = sealOf(directory);
    expect(new Set(found)).toEqual(new Set(files.map(({ path }) => path)));
    for (const { path, sha256: digest } of files) expect(sha256(readFileSync(join(directory, path)))).toBe(digest);
    const mapped = mappedSlotFiles(elm, await agentOf(elm));
    expect(mapped).not.toEqual([]);
    expect(mapped.filter((path) => !path.startsWith(`${directory}/`))).toEqual([]);
  });
});

describe('what is selected', () => {
  it('S27: follows nothing but the record: pins to what is gone and unsealed slots are passed over', async () => {
    const before = await agentOf(elm);
    const launched = elm.layout.launchedComponent('app');
    rmSync(launched);
    symlinkSync(join(elm.layout.run, 'override', 'gone'), launched);
    symlinkSync(join(elm.layout.slots, 'app', '7'), join(elm.layout.slots, 'app', 'current'));
    mkdirSync(join(elm.layout.slot('app', '2'), 'app'), { recursive: true });
    writeFileSync(join(elm.layout.slot('app', '2'), 'app', 'main.js'), 'process.exit(9)');
    process.kill(before, 'SIGKILL');
    const after = await until('the agent is back', comesWithinMs, () => {
      const pid = elm.agentPid();
      return pid !== null && pid !== before ? pid : null;
    });
    await serves(elm, wanted);
    expect(launchedSlot(elm)).toBe(realpathSync(elm.layout.slot('app', '0')));
    await until('it has loaded its files', comesWithinMs, () => mappedSlotFiles(elm, after)[0] ?? null);
    expect(mappedSlotFiles(elm, after).filter((path) => !path.startsWith(`${launchedSlot(elm)}/`))).toEqual([]);
  });

  it('S26: is there after a power cut that takes all of run/, and comes again after a person went back', async () => {
    // Else whoever goes back from the newest one would at once be offered the one before it.
    await until('the older rollout is overtaken', comesWithinMs, async () =>
      (await world.server.rollouts()).find((one) => one.version === '1.0.52')?.state === 'superseded' ? true : null,
    );
    await elm.pullThePlug();
    rmSync(elm.layout.run, { recursive: true });
    await elm.powerOn();
    const { transactions } = await serves(elm, wanted);
    expect(told(transactions)).toEqual([`1.0.49 -> ${wanted} committed`]);
    await elm.updaterProgram(['rollback', '--json']);
    const back = await serves(elm, '1.0.49');
    expect(back.quarantine.map(({ version, reason }) => [version, reason])).toEqual([[wanted, 'by hand']]);
    // Nobody decides anew at the server: what is wanted is still wanted, and is taken as soon as it may be.
    await elm.updaterProgram(['retry', wanted, '--json', '--no-wait']);
    await committed(world, 'elm', wanted);
    const steps = [`1.0.49 -> ${wanted} committed`, `${wanted} -> 1.0.49 committed`, `1.0.49 -> ${wanted} committed`];
    expect(told(await historyOf(elm, 3))).toEqual(steps);
  });
});

describe('the order update_iso', () => {
  it('S56: succeeds where it made the updater look, and claims no more than that', async () => {
    // Its updater looked once, at boot, perhaps before the agent answered: the agent itself tells that it is there.
    await until('the agent of oak has checked in', comesWithinMs, async () =>
      (await world.server.appliance('oak')).reported.agent.app?.version === '1.0.52' ? true : null,
    );
    expect((await oak.status()).transactions).toEqual([]);
    await until('1.0.54 is for everyone', comesWithinMs, async () =>
      (await world.server.rollouts()).find((one) => one.version === wanted)?.proven.includes('elm') ? true : null,
    );
    const { id } = await world.server.sendOrder('oak', 'update_iso');
    const order = await ended(world, id);
    expect(order).toMatchObject({ state: 'succeeded', error: null });
    expect(order.result).toContain('the updater was asked to look for a release now');
    // Its timer is an hour long: it was the order that did it, and the updater that says so.
    await committed(world, 'oak', wanted);
    expect(told(await historyOf(oak, 1))).toEqual([`1.0.52 -> ${wanted} committed`]);
  });
});

describe('a committed slot that is not whole any more', () => {
  it('S6: is called damaged, not committed; the factory version runs, and so the two are seen to differ', async () => {
    await elm.powerOff();
    const slot = (await elm.status()).slots.find((one) => wordOf(one.role) === 'committed' && one.component === 'app');
    rmSync(join(elm.layout.slot('app', slot?.slot ?? ''), sealOf(elm.layout.slot('app', slot?.slot ?? '')).entry));
    await elm.powerOn();
    const status = await untilOf(elm, 'sees the damage', async () => {
      const now = await elm.status();
      return now.agent.version === '1.0.49' ? now : null;
    });
    const roles = status.slots.filter((one) => one.component === 'app').map((one) => [one.slot, wordOf(one.role)]);
    expect(roles).toContainEqual([slot?.slot, 'damaged']);
    expect(roles.map(([, role]) => role)).not.toContain('committed');
  });
});
