import { createPrivateKey } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { counterConflictShape } from '../../../protocol/check-in.ts';
import { decodeClaim } from '../../../protocol/claim.ts';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { publicKeyOf } from '../../../protocol/trust/ed25519.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { loadIdentity } from '../../../updater/identity/identity.ts';
import { checkIn } from '../../../updater/server/check-in.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { loadRemembered } from '../../../updater/server/remembered-answer.ts';
import { waitingIn } from '../../../updater/set-up/new-identity.ts';
import { setUp } from '../../../updater/set-up/setup.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { TestServer } from '../../support/test-server.ts';
import { idleState } from '../support/states.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

const development = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };

interface Site extends AsyncDisposable {
  readonly bench: TestServer;
  readonly factory: string;
  place(): string;
}

async function site(): Promise<Site> {
  const bench = await TestServer.start();
  for (const component of ['app', 'updater'] as const) await bench.upload((await bench.build('1.0.0', component)).path);
  const place = () => {
    const root = mkdtempSync(join(tmpdir(), 'hf-copy-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    return root;
  };
  return {
    bench,
    factory: join(bench.directory, 'out'),
    place,
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

async function claimed({ factory }: Site, layout: Layout, code: string, newIdentity = false, files: Files = realFiles) {
  mkdirSync(layout.updater, { recursive: true });
  if (!existsSync(layout.settings)) writeFileSync(layout.settings, JSON.stringify(development));
  const order = { files, http: makeHttp(), layout, factory, version: '1.0.0', newIdentity, log: () => undefined };
  return setUp({ ...order, claim: decodeClaim(code) });
}

/** One check-in of the machine that has this data partition, in a boot of its own. */
async function asks(layout: Layout, boot: string): Promise<string> {
  const clock = Object.assign(new TestClock(), { bootId: () => boot });
  const { identity, key } = loadIdentity(realFiles, layout);
  const counter = openCounter(realFiles, layout);
  const events = openEvents(realFiles, layout, clock, identity.appliance);
  const have = { app: { version: '1.0.0', slot: '0' as const } };
  const report = { have, health: { status: 'ok' as const, row: 'idle' }, quarantine: [] };
  const deps = {
    files: realFiles,
    layout,
    clock,
    http: makeHttp(),
    counter,
    events,
    identity,
    key,
    log: () => undefined,
  };
  const { outcome } = await checkIn(deps, report, true);
  return outcome;
}

async function noticesOn(layout: Layout): Promise<string> {
  const { appliance } = testAppliance(layout);
  await publishStatus(appliance, idleState());
  return JSON.stringify(JSON.parse(readFileSync(layout.status, 'utf8')).notices ?? []);
}

describe('a copied data partition', () => {
  it('is told of on both machines until it is solved, gets an identity of its own, and leaves the original as it is', async () => {
    await using place = await site();
    const { bench } = place;
    const original = layoutOf(place.place());
    await claimed(place, original, await bench.claim('harbour-1'));
    const { appliance } = loadIdentity(realFiles, original).identity;
    expect(await asks(original, 'boot-original')).toBe('answered');
    const copy = layoutOf(place.place());
    cpSync(original.root, copy.root, { recursive: true });
    for (let turn = 0; turn < 3; turn += 1) {
      await asks(copy, 'boot-copy');
      await asks(original, 'boot-original');
    }
    const raised = await bench.show('harbour-1');
    expect(raised.state).toBe('attention');
    for (const said of [
      'two machines',
      'boot-cop',
      'boot-ori',
      '127.0.0.1',
      '--new-identity',
      'clone-solved harbour-1',
    ])
      expect(raised.alert).toContain(said);
    for (const [layout, boot] of [
      [original, 'boot-original'],
      [copy, 'boot-copy'],
    ] as const) {
      await asks(layout, boot);
      expect(
        loadRemembered(realFiles, layout)
          .clone.map((side) => side.boot)
          .sort(),
      ).toEqual(['boot-copy', 'boot-original']);
      expect(await noticesOn(layout)).toContain('setup --new-identity');
    }
    // A claim that is typed without it would rename both.
    const code = await bench.claim('harbour-2');
    await expect(claimed(place, copy, code)).rejects.toMatchObject({
      code: 'enrol-refused',
      message: expect.stringContaining('appliance-cloned'),
    });
    const own = await claimed(place, copy, code, true);
    expect(own).toMatchObject({ name: 'harbour-2' });
    expect(own.appliance).not.toBe(appliance);
    expect(loadIdentity(realFiles, copy).identity).toMatchObject({ appliance: own.appliance, name: 'harbour-2' });
    expect([await asks(copy, 'boot-copy'), await asks(original, 'boot-original')]).toEqual(['answered', 'answered']);
    expect(await noticesOn(copy)).toBe('[]');
    // It stays, over a restart as well, until a person says so; and it names the copy.
    await bench.stop();
    await bench.run();
    expect(await bench.show('harbour-1')).toMatchObject({
      id: appliance,
      alert: expect.stringContaining('the appliance harbour-2 now'),
    });
    expect((await bench.api('POST', '/api/appliances/harbour-1/clone-solved')).status).toBe(200);
    expect(await bench.show('harbour-1')).toMatchObject({ alert: null });
    expect((await bench.api('POST', '/api/appliances/harbour-1/clone-solved')).status).toBe(404);
  });

  it('keeps what it has when the claim is refused, and goes on where the power failed', async () => {
    await using place = await site();
    const { bench } = place;
    const copy = layoutOf(place.place());
    const used = await bench.claim('harbour-1');
    await claimed(place, copy, used);
    const before = loadIdentity(realFiles, copy);
    const keys = () => [copy.identityKey, copy.agentKey].map((path) => readFileSync(path, 'utf8'));
    const old = keys();
    await expect(claimed(place, copy, used, true)).rejects.toMatchObject({ code: 'enrol-refused' });
    expect(keys()).toEqual(old);
    expect(loadIdentity(realFiles, copy).identity).toEqual(before.identity);
    const code = await bench.claim('harbour-2');
    const cut = (at: string): Files => ({
      ...realFiles,
      rename: (from, to) => {
        if (to === at) throw Object.assign(new Error('the power fails'), { code: 'EIO' });
        realFiles.rename(from, to);
      },
    });
    await expect(claimed(place, copy, code, true, cut(copy.agentKey))).rejects.toThrow('the power fails');
    await expect(claimed(place, copy, code, true, cut(copy.identityKey))).rejects.toThrow('the power fails');
    await expect(claimed(place, copy, code, true, cut(copy.identity))).rejects.toThrow('the power fails');
    // Its keys are in place: what is left is a setup as any other.
    const done = await claimed(place, copy, code);
    expect(done).toMatchObject({ name: 'harbour-2' });
    expect(done.appliance).not.toBe(before.identity.appliance);
    expect(Object.values(waitingIn(copy)).some((path) => existsSync(path))).toBe(false);
    expect(await bench.show('harbour-1')).toMatchObject({ id: before.identity.appliance });
  });
});

describe('a stolen key', () => {
  it("of an updater is told of, whatever boot and counter the thief copies, and what to do: of the updater's key alone", async () => {
    await using place = await site();
    const { bench } = place;
    const original = layoutOf(place.place());
    await claimed(place, original, await bench.claim('harbour-1'));
    const { key } = loadIdentity(realFiles, original);
    const thief = await bench.client();
    thief.keys.updater = { publicKey: publicKeyOf(key), privateKey: key };
    for (let turn = 0; turn < 2; turn += 1) {
      for (let i = 0; i < 5; i += 1) expect(await asks(original, 'boot-original')).toBe('answered');
      expect((await bench.show('harbour-1')).alert ?? '').not.toContain('two machines');
      const { status, body } = await thief.tryCheckIn('updater', { boot: 'boot-original' });
      if (status === 409) thief.seq.updater = counterConflictShape.parse(body).next + 500;
      expect((await thief.tryCheckIn('updater', { boot: 'boot-original' })).status).toBe(200);
    }
    expect(await asks(original, 'boot-original')).toBe('answered');
    const { alert } = await bench.show('harbour-1');
    expect(alert).toMatch(/two machines have used its identity since .* UTC, by its updater's key/);
    expect(alert).toContain('if the key was stolen: holdfast appliance retire harbour-1, claim its freed name');
    expect(await noticesOn(original)).toContain("two machines use this appliance's identity");
  });

  it("of an agent does not accuse the updater: the alarm names the agent's key, on the server and here", async () => {
    await using place = await site();
    const { bench } = place;
    const original = layoutOf(place.place());
    await claimed(place, original, await bench.claim('harbour-1'));
    const thief = await bench.client();
    const privateKey = createPrivateKey(readFileSync(original.agentKey));
    thief.keys.agent = { publicKey: publicKeyOf(privateKey), privateKey };
    for (let i = 0; i < 6; i += 1) await thief.tryCheckIn('agent', { boot: `boot-${i % 2}` });
    expect(await asks(original, 'boot-original')).toBe('answered');
    const { alert } = await bench.show('harbour-1');
    expect(alert).toContain("by its agent's key and not by its updater's");
    expect(alert).toContain("if only the agent's key was stolen: holdfast appliance retire harbour-1");
    const notices = await noticesOn(original);
    expect(notices).toContain("two machines use the key of this appliance's agent, not its updater's");
    expect(notices).toContain("the agent's key was stolen: retire this appliance");
  });
});
