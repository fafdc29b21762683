import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../protocol/digest.ts';
import { TestAppliance, until } from './agent-process.ts';
import {
  PatchedAgent,
  releaseShape,
  releasesDirectory,
  updaterReleaseShape,
  updaterReleases,
  versions,
} from './patched-agent.ts';

let appliance: TestAppliance;
let patched: PatchedAgent[];

beforeEach(async () => {
  appliance = new TestAppliance();
  patched = [];
  await appliance.startServer();
});

afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  for (const agent of patched) agent.remove();
  expect(problems).toEqual([]);
});

async function patch(version: string): Promise<PatchedAgent> {
  const agent = new PatchedAgent(version);
  patched.push(agent);
  await agent.make();
  return agent;
}

async function build(version: string): Promise<PatchedAgent> {
  const agent = await patch(version);
  await agent.emit();
  return agent;
}

/** Starts one release and waits until it answers for itself. */
async function start(agent: PatchedAgent, version: string) {
  const run = appliance.run(agent.program);
  await until(`${version} to answer`, async () => (await appliance.health())?.version === version);
  return run;
}

async function stop(run: Awaited<ReturnType<typeof start>>): Promise<void> {
  run.kill('SIGTERM');
  expect(await run.exit()).toEqual({ code: 0, signal: null });
}

function send(kind: string): string {
  const id = randomUUID();
  appliance.server.order({ version: 1, id, appliance: appliance.id, kind, expiresAtS: 1_800_000_000 });
  return id;
}

const serverHas = (count: number) =>
  until(`${count} more records`, () => appliance.server.records().length >= count && appliance.server.contiguous());

describe('each release', () => {
  it.each(versions)('%s is described', (version) => {
    const description = readFileSync(join(releasesDirectory, version, 'release.json'), 'utf8');
    expect(releaseShape.parse(JSON.parse(description)).version).toBe(version);
  });

  it.each(updaterReleases)('%s is described', (name) => {
    const description: unknown = JSON.parse(readFileSync(join(releasesDirectory, name, 'release.json'), 'utf8'));
    expect(`updater-${updaterReleaseShape.parse(description).version}`).toBe(name);
  });
});

describe('1.0.49', () => {
  it('S1: works until update_iso arrives, and crashes at each delivery, with the text on standard error', async () => {
    // The oldest settings in the field: nothing that came later.
    appliance.settings({ site_name: 'Hof' });
    const agent = await build('1.0.49');
    const run = await start(agent, '1.0.49');
    await serverHas(2);
    const identify = send('identify');
    await until('a sound order', () => appliance.server.orderEnd(identify)?.state === 'succeeded');
    expect(run.ended).toBeNull();

    const id = send('update_iso');
    const text = "'ApplianceConfig' object has no attribute 'mcp_api_key_file'";
    for (let current = run, crashes = 0; crashes < 3; crashes += 1) {
      expect(await current.exit()).toEqual({ code: 1, signal: null });
      expect(current.stderr).toContain(text);
      if (crashes < 2) current = appliance.run(agent.program);
    }
    expect(appliance.server.orderStates(id)).toEqual([]);
    expect(appliance.server.deliveries.get(id)).toBeGreaterThanOrEqual(3);

    appliance.server.envelopes.delete(id);
    await start(agent, '1.0.49');
    const before = appliance.server.records().length;
    await serverHas(before + 2);
  });
});

describe.each(['1.0.52', '1.0.54'])('%s', (version) => {
  it('takes over the state of 1.0.49, is healthy, and does what crashed it', async () => {
    const old = await start(await build('1.0.49'), '1.0.49');
    await serverHas(3);
    await stop(old);
    const kept = appliance.server.records();
    const run = await start(await build(version), version);
    const id = send('update_iso');
    await until('the order', () => appliance.server.orderEnd(id)?.state === 'succeeded');
    // A first measurement that a busy machine is too slow for is made up for by the next one.
    const health = await until('every check is ok', async () => {
      const one = await appliance.healthy();
      return Object.values(one.checks).every((status) => status === 'ok') ? one : null;
    });
    expect('memory' in health.checks).toBe(version === '1.0.54');
    expect(health.state.schema).toBe(1);
    await stop(run);
    const database = new Sqlite(appliance.layout.stateDb, { readonly: true });
    const rows = database.prepare('SELECT name, sha256 FROM readings ORDER BY n LIMIT ?').all(kept.length);
    database.close();
    expect(rows).toEqual(kept);
  });
});

describe('1.0.53', () => {
  it('serves, makes the state unreadable for 1.0.52, and then stands still while it answers', async () => {
    const sound = await build('1.0.52');
    const old = await start(sound, '1.0.52');
    await serverHas(4);
    await stop(old);
    const before = appliance.server.records();

    const run = await start(await build('1.0.53'), '1.0.53');
    expect((await appliance.healthy()).state).toEqual({ schema: 2, migrated: true });
    await serverHas(before.length + 3);
    const still = await until('the progress to stand still', async () => {
      const one = await appliance.healthy();
      // Check-ins are four intervals of the duty apart, and both are turns of the same process.
      const asked = appliance.server.requests.length;
      await until('more check-ins', () => appliance.server.requests.length >= asked + 3);
      const two = await appliance.healthy();
      return one.progress === two.progress ? two : null;
    });
    expect(still.progress).toBeGreaterThan(3);
    expect(still).toMatchObject({ version: '1.0.53', nonce: appliance.start.nonce, server: 'ok' });
    expect(still.checks.readings).toBe('ok');
    expect(still.checks.state).toBe('ok');
    expect(run.ended).toBeNull();
    await stop(run);

    const state = sha256(readFileSync(appliance.layout.stateDb));
    const refused = appliance.run(sound.program);
    expect(await refused.exit()).toEqual({ code: 78, signal: null });
    expect(refused.stderr).toContain('(state-too-new)');
    expect(sha256(readFileSync(appliance.layout.stateDb))).toBe(state);
  });

  it('leaves an outbox that 1.0.52 goes on with once its own state is back', async () => {
    const sound = await build('1.0.52');
    const old = await start(sound, '1.0.52');
    await serverHas(3);
    await stop(old);
    const snapshot = readFileSync(appliance.layout.stateDb);
    appliance.server.acknowledges = false;
    const bad = await start(await build('1.0.53'), '1.0.53');
    await until('readings', async () => ((await appliance.health())?.progress ?? 0) > 3);
    bad.kill('SIGKILL');
    await bad.exit();
    rmSync(`${appliance.layout.stateDb}-wal`, { force: true });
    rmSync(`${appliance.layout.stateDb}-shm`, { force: true });
    writeFileSync(appliance.layout.stateDb, snapshot);
    appliance.server.acknowledges = true;
    const back = await start(sound, '1.0.52');
    const made = (await appliance.healthy()).progress;
    await until('more readings', async () => ((await appliance.health())?.progress ?? 0) > made + 2);
    await stop(back);
    const names = appliance.server.records().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('1.0.55', () => {
  it('crashes about a second after its start and says so', async () => {
    const run = await start(await build('1.0.55'), '1.0.55');
    expect(await run.exit()).toEqual({ code: 1, signal: null });
    // Other versions are built with the same patch.
    expect(run.stderr).toContain('Error: this release is broken on purpose');
  });
});
