import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startForwardProxy } from '../support/proxies/forward-proxy.ts';
import type { SiteProxy } from '../support/proxies/listening.ts';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { comesWithinMs, Site, serves } from './site.ts';

/** A machine where the name of its server resolves at the proxy only: set-up, updater and agent, each in its own unit. */
const site = new Site();
const name = 'behind';
const host = 'fleet.invalid';
let proxy: SiteProxy;
let machine: Machine;

beforeAll(async () => {
  await site.found([`http://${host}`]);
  const { port } = new URL(site.world.server.url);
  proxy = await startForwardProxy({ credentials: 'tech:p@ss w:rd', hosts: { [host]: `127.0.0.1:${port}` } });
  const address = proxy.url.replace('//', '//tech:p%40ss%20w%3Ard@');
  const tree = await site.tree('1.0.49');
  machine = await site.appliance(name, tree, {
    prepare: (plain) => plain.write('/root/proxy', address),
    setUp: ['--server', `http://${host}`, '--proxy-file', '/root/proxy'],
  });
  await serves(machine, '1.0.49');
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

describe('an appliance that reaches its server through a proxy only', () => {
  it('checks in with both its programs, from within their sandboxes', async () => {
    const view = await until('both programs check in', comesWithinMs, async () => {
      const found = await site.world.server.appliance(name);
      return found.checkIns.agent !== null && found.checkIns.updater !== null ? found : null;
    });
    expect(view.quarantine).toEqual([]);
    // The status tells of the agent's reach at the updater's next look.
    await until('the agent says that it reaches the server', comesWithinMs, async () => {
      return (await machine.status()).agent.server === 'ok' ? 'ok' : null;
    });
  });

  it('gives the path to the agent alone: its group reads the file, and the page cannot', async () => {
    const gid = Number(await machine.command('id', '-g', 'hf-agent'));
    const facts = statSync(machine.layout.networkPath);
    expect([facts.uid, facts.gid, facts.mode & 0o777]).toEqual([0, gid, 0o640]);
    const file = '/var/lib/holdfast/network-path.json';
    const read = (user: string) =>
      machine.try(['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', 'cat', file]);
    expect((await read('hf-agent')).exitCode).toBe(0);
    expect((await read('hf-page')).exitCode).not.toBe(0);
  });

  it('updates itself, and both versions check in through the proxy', async () => {
    await site.world.publish(await site.world.builder.app('1.0.52'));
    await site.world.server.startRollout('1.0.52');
    await serves(machine, '1.0.52');
    const view = await until('the server has seen it', comesWithinMs, async () => {
      const found = await site.world.server.appliance(name);
      return found.reported.updater.app?.version === '1.0.52' ? found : null;
    });
    expect(view.quarantine).toEqual([]);
    expect(proxy.asked.some((line) => line.includes(`http://${host}/v1/checkin`))).toBe(true);
  });
});
