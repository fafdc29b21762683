import { z } from 'zod';
import type { ApplianceClient } from './appliance-client.ts';
import { TestServer } from './test-server.ts';

const eventsShape = z.object({ events: z.array(z.object({ kind: z.string(), text: z.string() })) });

/** Appliances on 1.0.49 that work, and published releases, as a rollout meets them. */
export async function rolloutFleet(names: readonly string[], versions: readonly string[]) {
  const bench = await TestServer.start();
  const manifests = new Map<string, string>();
  for (const version of versions) manifests.set(version, await bench.publish(version));
  const clients = new Map<string, ApplianceClient>();
  for (const name of names) {
    const client = await bench.appliance(name);
    await works(client);
    clients.set(name, client);
  }
  const get = (name: string): ApplianceClient => {
    const client = clients.get(name);
    if (client === undefined) throw new Error(`no ${name}`);
    return client;
  };
  const manifest = (version: string): string => manifests.get(version) ?? '';
  /** It runs a release, as its updater says it: with the manifest. */
  const runs = async (name: string, version: string): Promise<void> => {
    get(name).have = { app: { version, slot: '1', manifest: manifest(version) } };
    await works(get(name));
    await works(get(name));
  };
  const report = (name: string, version: string, reason = 'crash-loop', kind: Kind = 'release-rolled-back') => {
    const client = get(name);
    const release = {
      tx: 2,
      component: 'app' as const,
      manifest: manifest(version),
      version,
      from: '1.0.49',
      reason,
    };
    const text = `${version} was rolled back (${reason})`;
    return client.checkIn('updater', {
      quarantine: [manifest(version)],
      events: [client.event('updater', { kind, text, release })],
    });
  };
  const offered = async (name: string, changes: object = {}) => {
    const { desired } = await get(name).checkIn('updater', changes);
    return desired?.release?.version ?? null;
  };
  const reasons = async (name: string) => (await get(name).checkIn('updater')).desired?.reasons ?? [];
  const change = (id: number, verb: string, reason?: string) =>
    bench.api('POST', `/api/rollouts/${id}/${verb}`, reason === undefined ? {} : { reason });
  const noted = async (name: string, kind: string) =>
    eventsShape.parse((await bench.api('GET', `/api/events?appliance=${name}&kind=${kind}`)).body).events;
  return { bench, get, manifest, runs, report, offered, reasons, change, noted };
}
type Kind = 'release-rolled-back' | 'release-refused';

/** Both of its programs say once that all is well. */
export async function works(client: ApplianceClient): Promise<void> {
  await client.checkIn('agent');
  await client.checkIn('updater');
}

/** Of 1.0.52, its canary alpha has proven it, and its canary beta is on trial; gamma waits. */
export async function halfProven() {
  const fleet = await rolloutFleet(['alpha', 'beta', 'gamma'], ['1.0.52']);
  const { id } = await fleet.bench.rollOut('1.0.52', ['alpha', 'beta']);
  await fleet.offered('beta');
  fleet.get('beta').row = 'trial';
  await fleet.get('beta').checkIn('updater');
  await fleet.runs('alpha', '1.0.52');
  return { ...fleet, id };
}
