import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realFiles } from '../../updater/effects/files.ts';
import { pathInUse } from '../../updater/trust/sources.ts';
import { startForwardProxy } from '../support/proxies/forward-proxy.ts';
import type { SiteProxy } from '../support/proxies/listening.ts';
import { startCaptivePortal, startRefusingProxy } from '../support/proxies/refusing-proxy.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  committed,
  endWorld,
  historyOf,
  makeWorld,
  paceS,
  saysThatServerIsReached,
  told,
  untilOf,
} from './scene.ts';

/**
 * Appliance pine stands where the name of its server resolves at the proxy only, which wants a name and a password; the server
 * lies below a path there.
 * Later its factory version is replaced by one that knows no network path, and by one that does.
 */
const world = makeWorld();
const trial = { healthyMs: 500, deadlineMs: patienceMs };
const settings = { sampleMs: 100, httpStallMs: 1_000 };
const name = 'fleet.invalid';
let proxy: SiteProxy;
let address: string;
let pine: ApplianceBox;

beforeAll(async () => {
  await world.found('1.0.49', paceS, 0, [`http://${name}/holdfast`]);
  const { port } = new URL(world.server.url);
  proxy = await startForwardProxy({ credentials: 'tech:p@ss w:rd', hosts: { [name]: `127.0.0.1:${port}` } });
  address = proxy.url.replace('//', '//tech:p%40ss%20w%3Ard@');
  const file = join(world.dir, 'proxy');
  writeFileSync(file, address, { mode: 0o600 });
  const options = { trial, settings, setUpWords: ['--proxy-file', file] };
  pine = await world.addAppliance('pine', options, `http://${name}/holdfast`);
  await pine.powerOn();
});

afterAll(async () => {
  await endWorld(world);
  await proxy[Symbol.asyncDispose]();
});

const checkIns = async () => (await world.server.appliance('pine')).checkIns;
const path = () => pathInUse({ files: realFiles, layout: pine.layout }).map((entry) => entry.proxy);

async function rollOut(version: string): Promise<void> {
  await world.publish(await world.builder.app(version));
  await world.server.startRollout(version, ['pine']);
}

describe('an appliance at a site that has a proxy only', () => {
  it('is set up, and its agent and its updater both check in', async () => {
    await untilOf(pine, 'checks in with both programs', async () => {
      const { agent, updater } = await checkIns();
      return agent !== null && updater !== null ? true : null;
    });
    expect(path()).toEqual([address]);
    await saysThatServerIsReached(pine);
  });

  it('shows nobody the password of the proxy but root and the agent', async () => {
    const facts = statSync(pine.layout.networkPath);
    const { agentUser } = pine.config;
    expect([facts.mode & 0o777, facts.gid]).toEqual(
      agentUser === null ? [0o600, process.getgid?.()] : [0o640, agentUser.gid],
    );
    expect(JSON.stringify(await pine.status())).not.toMatch(/p%40ss|p@ss/);
  });

  it('takes an update whose agent the server sees', async () => {
    await rollOut('1.0.52');
    const view = await committed(world, 'pine', '1.0.52');
    expect(view.quarantine).toEqual([]);
    const [line] = await historyOf(pine, 1);
    expect(line?.text).not.toContain('is not compared');
  });

  it('keeps a version that knows no network path, and says that the server was not compared', async () => {
    await world.publish(await world.builder.app('1.0.107'));
    await world.server.startRollout('1.0.107', ['pine']);
    await committed(world, 'pine', '1.0.107');
    const lines = await historyOf(pine, 2);
    expect(told(lines)).toEqual(['1.0.49 -> 1.0.52 committed', '1.0.52 -> 1.0.107 committed']);
    expect(lines[1]?.text).toContain('whether it reaches the server is not compared');
  });

  it('comes back by itself when signed sources name proxies that lead nowhere, and updates all the same', async () => {
    await using portal = await startCaptivePortal();
    await using refusing = await startRefusingProxy(407);
    for (const [wrong, version] of [
      [portal, '1.0.108'],
      [refusing, '1.0.109'],
    ] as const) {
      const file = join(world.dir, 'sources.json');
      writeFileSync(file, JSON.stringify({ proxy: wrong.url }));
      await world.server.publish(await world.builder.signSources(file));
      const release = await world.builder.unpatched(version);
      await world.publish(release);
      await world.server.startRollout(version, ['pine']);
      await committed(world, 'pine', version);
      expect(path()).toEqual([wrong.url, address]);
      expect(wrong.asked.length).toBeGreaterThan(0);
      const { agent } = await checkIns();
      await until('the new agent checks in', comesWithinMs, async () => {
        const now = (await checkIns()).agent;
        return now !== null && now.atMs !== agent?.atMs ? true : null;
      });
    }
    expect(told(await historyOf(pine, 4)).slice(2)).toEqual([
      '1.0.107 -> 1.0.108 committed',
      '1.0.108 -> 1.0.109 committed',
    ]);
  });
});
