import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { securityVersionStepMax } from '../../../protocol/bounded-step.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { makeRoot, makeTimestamp } from '../../../protocol/trust/tuf-sign.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { refreshMetadata } from '../../../updater/release/refresh-metadata.ts';
import { requireAcceptable } from '../../../updater/release/require-acceptable.ts';
import { trustedTime } from '../../../updater/trust/trust-files.ts';
import { installFirstRoot, loadTrust, raiseTrustedTime } from '../../../updater/trust/trust-store.ts';
import { fixtureNow, makeAppliance, makeReleaseFixture } from '../../support/bundle-fixture.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import {
  generateRepositoryKeys,
  rootInput,
  serveFiles,
  signedRoot,
  signedState,
  testExpires,
  testIssuedAt,
} from '../../support/tuf-repository.ts';
import { anything, fromFile, fromServer, http, installFile, setUp } from '../release/install.ts';

/** Real files whose n-th change of a name or content fails, as if the power went. */
function failingAt(change: number): Files {
  let count = 0;
  const counted = <Args extends unknown[], Result>(operation: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      count += 1;
      if (count >= change) throw Object.assign(new Error('power cut'), { code: 'TEST-POWER-CUT' });
      return operation(...args);
    };
  };
  const { create, write, rename, unlink, sync, syncDirectory } = realFiles;
  return {
    ...realFiles,
    create: counted(create),
    write: counted(write),
    rename: counted(rename),
    unlink: counted(unlink),
    sync: counted(sync),
    syncDirectory: counted(syncDirectory),
  };
}

const dayS = 24 * 60 * 60;

describe('the trust store', () => {
  it('takes only the first root that the claim pinned, once', async () => {
    using appliance = makeAppliance();
    const place = { files: realFiles, layout: appliance.layout };
    const keys = generateRepositoryKeys();
    const root = signedRoot(keys);
    expect(() => loadTrust(place)).toThrow(expect.objectContaining({ code: 'root-not-pinned' }));
    expect(() => installFirstRoot(place, root, sha256('another'))).toThrow(
      expect.objectContaining({ code: 'root-not-pinned' }),
    );
    expect(installFirstRoot(place, root, sha256(root)).root.version).toBe(1);
    const other = signedRoot(generateRepositoryKeys());
    installFirstRoot(place, other, sha256(other));
    expect(loadTrust(place).root.bytes.equals(root)).toBe(true);
  });

  it('is a legal set after a power cut at any step, and the next refresh completes it', async () => {
    using fixture = await makeReleaseFixture();
    fixture.publish([]);
    await using server = await startReleaseServer(fixture.servedDir);
    for (let change = 1; change < 60; change += 1) {
      using appliance = makeAppliance();
      const { layout } = appliance;
      setUp(fixture, layout);
      const cut = await refreshMetadata({ files: failingAt(change), layout }, http, server.base).catch(
        (error: unknown) => error,
      );
      const place = { files: realFiles, layout };
      const { timestamp, snapshot, targets } = loadTrust(place);
      // Whatever is there follows what it depends on.
      expect(timestamp !== null || snapshot === null).toBe(true);
      expect(snapshot !== null || targets === null).toBe(true);
      expect((await refreshMetadata(place, http, server.base)).targets).not.toBeNull();
      if (!(cut instanceof Error)) return; // no step was left to fail
    }
    expect.unreachable('the refresh has more steps than this test looks at');
  });

  it('follows new roots, and forgets time and versions that a replaced online key signed', async () => {
    using appliance = makeAppliance();
    const place = { files: realFiles, layout: appliance.layout };
    const keys = generateRepositoryKeys();
    const first = signedRoot(keys);
    installFirstRoot(place, first, sha256(first));
    const old = signedState(keys, { version: 900 });
    // The stolen key also says that it is years later than it is.
    const ahead = makeTimestamp(
      {
        version: 900,
        expires: testExpires,
        issuedAt: testIssuedAt + 100_000_000,
        snapshot: { version: 900, bytes: old.snapshot },
      },
      [keys.timestamp],
    );
    await using before = await serveFiles(
      new Map([
        ['/metadata/timestamp.json', ahead],
        ['/metadata/900.snapshot.json', old.snapshot],
        ['/metadata/900.targets.json', old.targets],
      ]),
    );
    await refreshMetadata(place, http, before.url);
    expect(trustedTime(place)?.getTime()).toBe((testIssuedAt + 100_000_000) * 1000);

    const { timestamp, snapshot } = generateRepositoryKeys();
    const renewed = { ...keys, timestamp, snapshot };
    const second = makeRoot(rootInput(renewed, 2), [keys.root[0], keys.root[1]]);
    const fresh = signedState(renewed, { version: 1, targetsVersion: 901 });
    await using after = await serveFiles(
      new Map([
        ['/metadata/2.root.json', second],
        ['/metadata/timestamp.json', fresh.timestamp],
        ['/metadata/1.snapshot.json', fresh.snapshot],
        ['/metadata/901.targets.json', fresh.targets],
      ]),
    );
    const trusted = await refreshMetadata(place, http, after.url);
    expect([trusted.root.version, trusted.timestamp?.version, trusted.targets?.version]).toEqual([2, 1, 901]);
    expect(trustedTime(place)?.getTime()).toBe((testIssuedAt + 1) * 1000);
    expect(readFileSync(join(appliance.layout.trust, 'roots', '1.json')).equals(first)).toBe(true);
    expect(readFileSync(join(appliance.layout.trust, 'roots', '2.json')).equals(second)).toBe(true);
  });

  it('refuses an older timestamp than it has seen', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    setUp(fixture, appliance.layout);
    const place = { files: realFiles, layout: appliance.layout };
    fixture.publish([]);
    const older = readFileSync(join(fixture.servedDir, 'metadata/timestamp.json'));
    fixture.publish([]);
    await using server = await startReleaseServer(fixture.servedDir);
    await refreshMetadata(place, http, server.base);
    writeFileSync(join(fixture.servedDir, 'metadata/timestamp.json'), older);
    await expect(refreshMetadata(place, http, server.base)).rejects.toMatchObject({ code: 'tuf-version' });
  });

  it('holds expiry against the time of signed words, never the clock, and still lets a technician install', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    const place = { files: realFiles, layout };
    setUp(fixture, layout);
    const release = await fixture.build({ version: '1.0.52' });
    fixture.publish([release], { expires: new Date(fixtureNow.getTime() + 3_600_000) });
    await using server = await startReleaseServer(fixture.servedDir);
    (await fromServer(layout, server.base, release)).bundle.source.close();
    raiseTrustedTime(place, loadTrust(place), fixtureNow.getTime() / 1000 + 7_200);
    await expect(fromServer(layout, server.base, release)).rejects.toMatchObject({ code: 'tuf-expired' });
    expect((await installFile(layout, release.path)).manifestDigest).toBe(release.manifest);
  });

  it('is moved by a day for each refresh, however far ahead the server signs', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const builtAtS = testIssuedAt - 400 * dayS;
    const place = { files: realFiles, layout: appliance.layout, builtAtS };
    setUp(fixture, appliance.layout);
    fixture.publish([]);
    await using server = await startReleaseServer(fixture.servedDir);
    for (const days of [1, 2, 3]) {
      await refreshMetadata(place, http, server.base);
      expect((trustedTime(place)?.getTime() ?? 0) / 1000).toBe(builtAtS + days * dayS);
    }
  });

  it('is not moved beyond the expiry of the targets by an online key, and never back', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const place = { files: realFiles, layout: appliance.layout };
    setUp(fixture, appliance.layout);
    fixture.publish([]);
    await using server = await startReleaseServer(fixture.servedDir);
    const trusted = await refreshMetadata(place, http, server.base);
    const expires = Date.parse(trusted.targets?.metadata.signed.expires ?? '');
    expect(raiseTrustedTime(place, trusted, 9_000_000_000)?.getTime()).toBe(expires);
    expect(raiseTrustedTime(place, trusted, 1_000)?.getTime()).toBe(expires);
    expect(trustedTime(place)?.getTime()).toBe(expires);
  });

  it('lets a file that carries newer targets decide, also against an older release', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    setUp(fixture, layout);
    const bad = await fixture.build({ version: '1.0.53' });
    const badBytes = readFileSync(bad.path);
    await fixture.revoke(bad);
    const good = await fixture.build({ version: '1.0.54' });
    (await fromFile(layout, good.path)).bundle.source.close();
    expect(existsSync(join(layout.trust, 'targets.json'))).toBe(true);
    writeFileSync(join(layout.root, 'old.hfb'), badBytes);
    await expect(fromFile(layout, join(layout.root, 'old.hfb'))).rejects.toMatchObject({ code: 'revoked' });
  });

  it('tells what a file is refused for', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    setUp(fixture, layout);
    const release = await fixture.build({
      version: '1.0.52',
      securityVersion: 1,
      compatibility: { updater: '2.0.0', hardware: ['box-a'] },
    });
    const refused = (change: Partial<typeof anything>) =>
      expect(fromFile(layout, release.path, { ...anything, ...change })).rejects;
    await refused({}).toMatchObject({ code: 'incompatible' });
    await refused({ updater: '2.0.0', hardware: 'box-b' }).toMatchObject({ code: 'incompatible' });
    await refused({ updater: '2.0.0', hardware: 'box-a', floor: { app: 2, updater: 0 } }).toMatchObject({
      code: 'floor',
    });
    await expect(fromFile(layout, join(layout.root, 'nothing.hfb'))).rejects.toMatchObject({ code: 'no-file' });
    await expect(fromFile(layout, layout.root)).rejects.toMatchObject({ code: 'no-file' });
    const resolved = await fromFile(layout, release.path, { ...anything, updater: '2.0.0', hardware: 'box-a' });
    resolved.bundle.source.close();
    // A floor that one release could raise without a bound would shut out every other one.
    const far = { ...resolved.manifest, securityVersion: 2 + securityVersionStepMax };
    const fits = { ...anything, updater: '2.0.0', hardware: 'box-a' };
    const accept = (app: number) => () =>
      requireAcceptable(far, release.manifest, { ...fits, floor: { app, updater: 0 } });
    expect(accept(1)).toThrow(expect.objectContaining({ code: 'floor-step', temporary: false }));
    expect(accept(2)).not.toThrow();
  });
});
