import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DesiredInput } from '../../../protocol/check-in.ts';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { publicKeyOf } from '../../../protocol/trust/ed25519.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { readHistory } from '../../../updater/outcome/history.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { installFirstRoot } from '../../../updater/trust/trust-store.ts';
import { type BuiltRelease, makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { sendFile } from '../../support/release-server.ts';
import { SigningServer } from '../../support/signing-server.ts';
import { saveFirstState, stateOn, statusOn } from '../support/record-appliance.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const small = { 'main.js': Buffer.from('x') };

type Made = ReturnType<typeof testAppliance>;

/** A server whose every key was stolen: it signs answers, snapshot and timestamp, and serves what it likes. */
class StolenServer {
  readonly layout: Layout;
  readonly fixture: ReleaseFixture;
  /** Directories that it serves, by the first name of the path. */
  readonly served: Map<string, string>;
  /** Requests for bundles so far. */
  bundleRequests = 0;
  readonly #signing: SigningServer;
  readonly #made: Made;

  private constructor(layout: Layout, fixture: ReleaseFixture, signing: SigningServer, made: Made) {
    this.layout = layout;
    this.fixture = fixture;
    this.served = new Map([['releases', fixture.servedDir]]);
    this.#made = made;
    this.#signing = signing;
  }

  static async start(): Promise<StolenServer> {
    const layout = temporaryAppliance();
    const made = testAppliance(layout);
    const signing = new SigningServer(publicKeyOf(made.appliance.key));
    const fixture = await makeReleaseFixture(signing.answerKeys.publicKey);
    installFirstRoot({ files: realFiles, layout }, fixture.root, sha256(fixture.root));
    saveFirstState(layout, idleState());
    const server = new StolenServer(layout, fixture, signing, made);
    await server.#signing.start();
    server.#signing.elsewhere = (request, response) => {
      const [, first = '', ...rest] = (request.url ?? '').split('/');
      const path = join(server.served.get(first) ?? '/nowhere', ...rest);
      if (rest[0] === 'bundles') server.bundleRequests += 1;
      sendFile(request, response, existsSync(path) ? readFileSync(path) : null);
    };
    return server;
  }

  async stop(): Promise<void> {
    await this.#signing.stop();
    this.fixture[Symbol.dispose]();
  }

  /** One run of the updater, told to install this; `laterMs` after the one before. */
  async run(
    wanted: Omit<DesiredInput['release'] & object, 'component'>,
    changes: Partial<DesiredInput> = {},
    laterMs = 0,
  ) {
    const { appliance, clock } = this.#made;
    clock.nowMs += laterMs;
    const release = { component: 'app', ...wanted };
    this.#signing.desired = { release, path: '/releases', openForS: 60, reasons: [], ...changes };
    const identity = {
      ...appliance.identity,
      url: this.#signing.url,
      answerKeys: [this.#signing.answerKeys.publicKey],
    };
    await runUpdater({ ...appliance, identity }, stateOn(this.layout), true);
  }

  /** The named reasons of what was refused; nothing else has changed. */
  refusals(): (string | null)[] {
    const { lastTx: _tx, windowUsedMs: _used, ...now } = stateOn(this.layout);
    const { lastTx: _before, windowUsedMs: _unused, ...before } = idleState();
    expect(now).toEqual(before);
    expect(existsSync(this.layout.slot('app', '2'))).toBe(false);
    return readHistory(realFiles, this.layout).map(({ reason }) => reason);
  }
}

let stolen: StolenServer;
let listed: BuiltRelease;
let other: BuiltRelease;
beforeEach(async () => {
  stolen = await StolenServer.start();
  const { fixture } = stolen;
  listed = await fixture.build({ version: '1.0.52', files: small, securityVersion: 1 });
  other = await fixture.build({ version: '1.0.54', files: small, securityVersion: 1 });
  fixture.publish([listed, other]);
});
afterEach(() => stolen.stop());

describe('a stolen server that asks for', () => {
  it('a manifest that the targets do not list gets nowhere', async () => {
    using foreign = await makeReleaseFixture();
    const evil = await foreign.build({ version: '9.9.9', files: small });
    stolen.fixture.publish([listed, evil]);
    await stolen.run(evil);
    expect(stolen.refusals()).toEqual(['revoked']);
  });

  it('a listed manifest under a version that is not listed gets nowhere', async () => {
    copyFileSync(listed.path, join(stolen.fixture.servedDir, 'bundles', 'app-9.9.9.hfb'));
    await stolen.run({ version: '9.9.9', manifest: listed.manifest });
    expect(stolen.refusals()).toEqual(['revoked']);
  });

  it('a listed manifest under the version of another release gets nowhere', async () => {
    await stolen.run({ version: other.version, manifest: listed.manifest });
    expect(stolen.refusals()).toEqual(['wrong-manifest']);
  });

  it("a release, and serves another one's bundle in its place, gets nowhere", async () => {
    copyFileSync(listed.path, join(stolen.fixture.servedDir, 'bundles', 'app-1.0.54.hfb'));
    await stolen.run(other);
    expect(stolen.refusals()).toEqual(['wrong-manifest']);
  });

  it('a release that was revoked gets nowhere', async () => {
    await stolen.fixture.revoke(listed);
    stolen.fixture.publish([listed, other]);
    await stolen.run(listed);
    expect(stolen.refusals()).toEqual(['revoked']);
  });

  it('a revoked release with the targets from before gets nowhere, once the newer ones were seen', async () => {
    const targets = join(stolen.fixture.repository.dir, 'metadata', 'targets.json');
    const before = readFileSync(targets);
    await stolen.fixture.revoke(listed);
    stolen.fixture.publish([listed, other]);
    await stolen.run(listed);
    writeFileSync(targets, before);
    stolen.fixture.publish([listed, other]);
    await stolen.run(listed, {}, 90_000);
    expect(stolen.refusals()).toEqual(['revoked', 'tuf-version']);
  });

  it('targets of its own making gets nowhere', async () => {
    using foreign = await makeReleaseFixture();
    const evil = await foreign.build({ version: '9.9.9', files: small });
    const targets = (fixture: ReleaseFixture) => join(fixture.repository.dir, 'metadata', 'targets.json');
    copyFileSync(targets(foreign), targets(stolen.fixture));
    stolen.fixture.publish([evil]);
    await stolen.run(evil);
    expect(stolen.refusals()).toEqual(['tuf-threshold']);
  });

  it('a path with a repository of its own gets nowhere', async () => {
    using foreign = await makeReleaseFixture();
    const evil = await foreign.build({ version: '9.9.9', files: small });
    foreign.publish([evil]);
    stolen.served.set('elsewhere', foreign.servedDir);
    await stolen.run(evil, { path: '/elsewhere' });
    expect(stolen.refusals()).toEqual(['tuf-threshold']);
  });

  it('another host by its path is not understood, and nothing is tried', async () => {
    await stolen.run(listed, { path: 'http://elsewhere.example/releases' });
    expect(stolen.refusals()).toEqual([]);
    expect(statusOn(stolen.layout).checkIn.error?.code).toBe('answer-malformed');
  });

  it('a component of the future is understood, held, and told why', async () => {
    const release = { component: 'firmware', version: '2.0.0', manifest: listed.manifest };
    await stolen.run(listed, { release });
    expect(stolen.refusals()).toEqual([]);
    const status = statusOn(stolen.layout);
    expect(status.checkIn.error).toBeNull();
    expect(status.why).toContain('The server wants firmware 2.0.0, which this updater cannot install.');
    expect(status.desired?.release?.component).toEqual({ kind: 'unknown', raw: 'firmware' });
    // What was stored must be readable as well.
    await stolen.run(listed, { release }, 60_000);
    expect(statusOn(stolen.layout).why).toContain('firmware 2.0.0');
  });
});

describe('a release below the floor', () => {
  it('is refused once, told in why, and not asked for again until a reboot or a retry', async () => {
    const low = await stolen.fixture.build({ version: '1.0.40', files: small, securityVersion: 0 });
    stolen.fixture.publish([low]);
    await stolen.run(low);
    const asked = stolen.bundleRequests;
    expect(asked).toBeGreaterThan(0);
    for (const minutes of [1, 2, 10, 24 * 60]) await stolen.run(low, {}, minutes * 60_000);
    expect(stolen.bundleRequests).toBe(asked);
    expect(stolen.refusals()).toEqual(['floor']);
    expect(statusOn(stolen.layout).why).toContain('has security version 0, the floor here is 1 (floor)');
  });
});
