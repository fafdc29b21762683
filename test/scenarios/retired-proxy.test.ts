import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkPathShape } from '../../protocol/network-path.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { verifiedPath } from '../../updater/trust/sources.ts';
import { startForwardProxy } from '../support/proxies/forward-proxy.ts';
import type { SiteProxy } from '../support/proxies/listening.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { patienceMs } from '../support/world/wait.ts';
import { committed, endWorld, historyOf, makeWorld, paceS, saysThatServerIsReached, untilOf } from './scene.ts';

/** Appliance elm reaches its server directly; later a proxy is named that works, and is retired without a word. */
const world = makeWorld();
const trial = { healthyMs: 500, deadlineMs: patienceMs };
let elm: ApplianceBox;

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  elm = await world.addAppliance('elm', { trial, settings: { sampleMs: 100, httpStallMs: 1_000 } });
  await elm.powerOn();
});

afterAll(() => endWorld(world));

const published = () =>
  networkPathShape.parse(JSON.parse(readFileSync(elm.layout.networkPath, 'utf8'))).entries.map(({ proxy }) => proxy);
const verified = () => verifiedPath({ files: realFiles, layout: elm.layout }).proxy;

/** Two more of each: the first may have been on its way. */
async function bothCheckIn(): Promise<void> {
  for (const _ of [1, 2]) {
    const known = (await world.server.appliance('elm')).checkIns;
    await untilOf(elm, 'checks in with both programs', async () => {
      const now = (await world.server.appliance('elm')).checkIns;
      const isNew = (['agent', 'updater'] as const).every(
        (program) => now[program] !== null && now[program].atMs !== known[program]?.atMs,
      );
      return isNew ? true : null;
    });
  }
}

async function setByPerson(proxy: SiteProxy): Promise<void> {
  const file = join(world.dir, 'of-a-person.json');
  writeFileSync(file, JSON.stringify({ proxy: proxy.url }));
  await elm.updaterProgram(['sources', file]);
}

async function rollOut(version: string): Promise<void> {
  await world.publish(await world.builder.app(version));
  await world.server.startRollout(version, ['elm']);
  await committed(world, 'elm', version);
}

async function isUsed(proxy: SiteProxy): Promise<void> {
  await untilOf(elm, 'has verified the proxy', () => (verified() === proxy.url ? true : null));
  expect(published()).toEqual([proxy.url, null]);
  const { length } = proxy.asked;
  await bothCheckIn();
  expect(proxy.asked.length).toBeGreaterThanOrEqual(length + 4);
}

async function comesBackWithout(proxy: SiteProxy): Promise<void> {
  await proxy[Symbol.asyncDispose]();
  await untilOf(elm, 'has verified the direct entry', () => (verified() === null ? true : null));
  await bothCheckIn();
  expect(published()).toEqual([proxy.url, null]);
  await saysThatServerIsReached(elm);
}

describe('an appliance whose proxy worked and is retired', () => {
  it('comes back directly, updater and agent, where a person had set the proxy', async () => {
    await bothCheckIn();
    const proxy = await startForwardProxy();
    await setByPerson(proxy);
    await isUsed(proxy);
    await comesBackWithout(proxy);
  });

  it('does so where signed sources had named the proxy', async () => {
    const proxy = await startForwardProxy();
    const file = join(world.dir, 'signed.json');
    writeFileSync(file, JSON.stringify({ proxy: proxy.url }));
    await world.server.publish(await world.builder.signSources(file));
    await rollOut('1.0.52');
    await isUsed(proxy);
    await comesBackWithout(proxy);
  });

  it('does not compare a version that knows no network path while a proxy is used, though the path ends directly', async () => {
    await using proxy = await startForwardProxy();
    await setByPerson(proxy);
    await isUsed(proxy);
    await rollOut('1.0.107');
    const [, line] = await historyOf(elm, 2);
    expect(line?.text).toContain('whether it reaches the server is not compared');
  });
});
