import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { revokeRelease } from '../../image/repository.ts';
import { makeProgram } from '../../server-lite/cli/program.ts';
import type { ApplianceClient } from '../support/appliance-client.ts';
import { TestServer } from '../support/test-server.ts';

const codeShape = z.object({ code: z.string() });
const assign = (bench: TestServer, appliance: string, version: string) =>
  bench.api('POST', `/api/appliances/${appliance}/assign`, { version });
const unassign = (bench: TestServer, appliance: string) =>
  bench.api('POST', `/api/appliances/${appliance}/unassign`, {});
const refused = async (answer: Promise<{ status: number; body: unknown }>) => {
  const { status, body } = await answer;
  return [status, codeShape.parse(body).code];
};

/** `alpha` and `beta` on 1.0.52, with 1.0.49 and 1.0.54 published beside it. */
async function withFleet() {
  const bench = await TestServer.start([], { openToThisHost: true });
  const manifests: Record<string, string> = {};
  for (const version of ['1.0.49', '1.0.52', '1.0.54']) manifests[version] = await bench.publish(version);
  const enrol = async (name: string): Promise<ApplianceClient> => {
    const client = await bench.appliance(name, '1.0.52');
    await client.checkIn('updater');
    return client;
  };
  return { bench, alpha: await enrol('alpha'), beta: await enrol('beta'), manifests };
}
const desired = async (client: ApplianceClient, changes: object = {}) =>
  (await client.checkIn('updater', changes)).desired;

describe('a release that is assigned to one appliance', () => {
  it('is offered to it and to nobody else, with its reason in the same words everywhere', async () => {
    const { bench, alpha, beta, manifests } = await withFleet();
    await using _ = bench;
    expect((await assign(bench, 'alpha', '1.0.54')).status).toBe(200);
    const reasons = ['app 1.0.54 is assigned to it', 'app 1.0.54 is offered to it'];
    expect(await desired(alpha)).toMatchObject({
      release: { component: 'app', version: '1.0.54', manifest: manifests['1.0.54'] },
      assigned: true,
      reasons,
    });
    expect(await bench.show('alpha')).toMatchObject({ reasons, assigned: ['app 1.0.54'], offer: '1.0.54' });
    expect(await desired(beta)).toMatchObject({ release: null, reasons: ['no rollout is under way'] });
  });

  it('goes before a rollout, newer or older, and is said to be the older one', async () => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await bench.rollOut('1.0.54', ['alpha']);
    await assign(bench, 'alpha', '1.0.49');
    expect(await desired(alpha)).toMatchObject({
      release: { version: '1.0.49' },
      reasons: ['app 1.0.49 is assigned to it, although it has 1.0.52', 'app 1.0.49 is offered to it'],
    });
  });

  it('holds the appliance on it once it has it, and lets it go when it is unassigned', async () => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await bench.rollOut('1.0.54', ['alpha']);
    await assign(bench, 'alpha', '1.0.52');
    expect(await desired(alpha)).toMatchObject({
      release: null,
      assigned: true,
      reasons: ['it has app 1.0.52, which is assigned to it'],
    });
    expect((await unassign(bench, 'alpha')).status).toBe(200);
    const after = await desired(alpha);
    expect(after).toMatchObject({ release: { version: '1.0.54' } });
    expect(after?.assigned).toBeUndefined();
  });

  it('is not pressed on an appliance that has it in quarantine', async () => {
    const { bench, alpha, manifests } = await withFleet();
    await using _ = bench;
    await assign(bench, 'alpha', '1.0.54');
    const quarantine = [manifests['1.0.54'] ?? ''];
    expect(await desired(alpha, { quarantine })).toMatchObject({
      release: null,
      reasons: ['app 1.0.54 is assigned to it, and in quarantine here'],
    });
  });

  it('does not hold up the rollout of another one, which passes the appliance by', async () => {
    const { bench, beta } = await withFleet();
    await using _ = bench;
    await assign(bench, 'alpha', '1.0.49');
    const { id, canaries } = await bench.rollOut('1.0.54');
    expect(canaries).toEqual(['beta']);
    beta.have = { app: { version: '1.0.54', slot: '1' } };
    for (let i = 0; i < 2; i += 1) {
      await beta.checkIn('updater');
      await beta.checkIn('agent');
    }
    expect(await bench.rollout(id)).toMatchObject({
      stage: 'done',
      waiting: [{ name: 'alpha', why: 'another release is assigned to it' }],
    });
  });

  it('counts for nothing once it was withdrawn, so that the fix gets through', async () => {
    const { bench, alpha } = await withFleet();
    await using _ = bench;
    await assign(bench, 'alpha', '1.0.49');
    await revokeRelease(await bench.repository(), 'app', '1.0.49');
    await bench.publish('1.0.55');
    await bench.rollOut('1.0.54', ['alpha']);
    expect(await desired(alpha)).toMatchObject({
      release: { version: '1.0.54' },
      reasons: ['app 1.0.49 was assigned to it, and was withdrawn', 'app 1.0.54 is offered to it'],
    });
    expect(await refused(assign(bench, 'alpha', '1.0.49'))).toEqual([409, 'release-withdrawn']);
  });

  it('can only be one that is published, for an appliance that is there', async () => {
    const { bench } = await withFleet();
    await using _ = bench;
    expect(await refused(assign(bench, 'alpha', '9.9.9'))).toEqual([404, 'release-unknown']);
    expect(await refused(assign(bench, 'gamma', '1.0.54'))).toEqual([404, 'appliance-unknown']);
    expect(await refused(unassign(bench, 'alpha'))).toEqual([404, 'assignment-unknown']);
    await bench.api('POST', '/api/appliances/beta/retire');
    expect(await refused(assign(bench, 'beta', '1.0.54'))).toEqual([410, 'appliance-retired']);
  });

  it('is still assigned after a restart of the server', async () => {
    const { bench } = await withFleet();
    await using _ = bench;
    await assign(bench, 'alpha', '1.0.54');
    await bench.stop();
    await bench.run();
    expect((await bench.show('alpha')).assigned).toEqual(['app 1.0.54']);
  });
});

describe('the command line and the dashboard', () => {
  it('assign, show and unassign', async () => {
    const { bench } = await withFleet();
    await using _ = bench;
    const printed: string[] = [];
    const config = join(bench.directory, 'cli.json');
    const tokenFile = join(bench.directory, 'token');
    writeFileSync(tokenFile, bench.token, { mode: 0o600 });
    writeFileSync(config, JSON.stringify({ url: bench.url, tokenFile }), { mode: 0o600 });
    const surroundings = {
      output: {},
      sleep: () => Promise.resolve(),
      askToken: () => Promise.reject(new Error('nobody is there')),
      version: '1',
      places: { directory: bench.directory, config },
      root: bench.directory,
    };
    const run = (...words: string[]) => {
      const print = (text: string) => void printed.push(text);
      const program = makeProgram({ ...surroundings, print });
      return program.parseAsync(words, { from: 'user' });
    };
    await run('fleet', 'assign', 'alpha', '1.0.49');
    expect(printed[0]).toBe(
      'alpha: App 1.0.49 is assigned to it, although it has 1.0.52. App 1.0.49 is offered to it.',
    );
    expect(await (await fetch(`${bench.url}/`)).text()).toContain('assigned: app 1.0.49');
    await run('fleet');
    expect(printed[1]).toContain('alpha');
    await run('fleet', 'unassign', 'alpha');
    expect(printed[2]).toBe('alpha follows the rollouts. No rollout is under way.');
    await expect(run('fleet', 'unassign', 'alpha')).rejects.toMatchObject({ code: 'assignment-unknown' });
  });
});
