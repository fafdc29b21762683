import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { looksSealed, verifyInstalled, verifySlot } from '../../../updater/release/verify-slot.ts';
import { makeAppliance, makeReleaseFixture, noise, smallProgram } from '../../support/bundle-fixture.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import { fetchInto, fromFile, fromServer, installFile, setUp, writeInto } from './install.ts';

const runtime = { 'bin/node': noise('node', 2_500_000), 'share/notes.txt': Buffer.from('notes') };

describe('a good release', () => {
  it('comes over HTTP ranges and becomes a sealed slot with its runtime', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    const release = await fixture.build({ version: '1.0.52', runtime });
    fixture.publish([release]);
    await using server = await startReleaseServer(fixture.servedDir);
    setUp(fixture, layout);

    const resolved = await fromServer(layout, server.base, release);
    const fetched = await fetchInto(layout, resolved);
    expect(writeInto(layout, resolved)).toBe(release.manifest);

    expect(fetched.fetchedBytes).toBe(resolved.bundle.chunks.size);
    expect(verifyInstalled(realFiles, layout, 'app', '0', release.manifest)).toMatchObject({ sound: true });
    const slot = layout.slot('app', '0');
    for (const [path, bytes] of Object.entries(smallProgram('1.0.52'))) {
      expect(readFileSync(join(slot, path)).equals(bytes)).toBe(true);
    }
    const interpreter = join(layout.runtime(resolved.manifest.runtime?.digest ?? ''), 'bin/node');
    expect(readFileSync(interpreter).equals(runtime['bin/node'])).toBe(true);
    expect(statSync(interpreter).mode & 0o7777).toBe(0o755);
    expect(statSync(join(slot, 'main.js')).mode & 0o7777).toBe(0o644);
    // The head of the bundle, its end, and its chunks in one range.
    expect(server.requests.filter((line) => line.includes('/bundles/'))).toHaveLength(3);
  });

  it('comes from a file without any network, and its newer targets are kept', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await fixture.build({ version: '1.0.52' });
    setUp(fixture, appliance.layout);
    const resolved = await installFile(appliance.layout, release.path);
    expect(resolved.manifestDigest).toBe(release.manifest);
    expect(verifySlot(realFiles, appliance.layout.slot('app', '0')).sound).toBe(true);
    expect(existsSync(join(appliance.layout.trust, 'targets.json'))).toBe(true);
  });

  it('is read from the file that was opened, whatever happens to its name', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await fixture.build({ version: '1.0.52' });
    setUp(fixture, appliance.layout);
    const resolved = await fromFile(appliance.layout, release.path);
    rmSync(release.path);
    writeFileSync(release.path, 'something else');
    await fetchInto(appliance.layout, resolved);
    writeInto(appliance.layout, resolved);
    resolved.bundle.source.close();
    expect(verifySlot(realFiles, appliance.layout.slot('app', '0')).sound).toBe(true);
  });

  it('takes from installed slots what it can and fetches only the rest', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    const first = await fixture.build({ version: '1.0.52', runtime });
    const second = await fixture.build({ version: '1.0.54', runtime });
    fixture.publish([first, second]);
    await using server = await startReleaseServer(fixture.servedDir);
    setUp(fixture, layout);
    await installFile(layout, first.path, '0', 1);
    const resolved = await fromServer(layout, server.base, second);
    const fetched = await fetchInto(layout, resolved, '1', 2);
    writeInto(layout, resolved, '1', 2);
    // Only main.js differs.
    expect(fetched.fetchedBytes).toBeLessThan(1_000);
    expect(verifyInstalled(realFiles, layout, 'app', '1', second.manifest).sound).toBe(true);
    expect(looksSealed(realFiles, layout.slot('app', '0')).sound).toBe(true);
  });

  it('is written as root and readable for the agent under a narrow umask', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await fixture.build({ version: '1.0.52' });
    setUp(fixture, appliance.layout);
    const before = process.umask(0o077);
    try {
      await installFile(appliance.layout, release.path);
    } finally {
      process.umask(before);
    }
    const modes = execFileSync('find', [appliance.layout.slot('app', '0'), '-printf', '%y%m\n'], { encoding: 'utf8' });
    expect(new Set(modes.trim().split('\n'))).toEqual(new Set(['d755', 'f644']));
  });

  it('replaces a runtime whose bytes rotted', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    const first = await fixture.build({ version: '1.0.52', runtime });
    const second = await fixture.build({ version: '1.0.54', runtime });
    setUp(fixture, layout);
    const installed = await installFile(layout, first.path, '0', 1);
    const interpreter = join(layout.runtime(installed.manifest.runtime?.digest ?? ''), 'bin/node');
    const rotten = Buffer.from(runtime['bin/node']);
    rotten[1_000_000] = (rotten[1_000_000] ?? 0) ^ 1;
    writeFileSync(interpreter, rotten);
    expect(verifyInstalled(realFiles, layout, 'app', '0')).toMatchObject({ sound: false, reason: 'wrong-content' });
    await installFile(layout, second.path, '1', 2);
    expect(verifyInstalled(realFiles, layout, 'app', '0').sound).toBe(true);
    expect(verifyInstalled(realFiles, layout, 'app', '1').sound).toBe(true);
  });
});
