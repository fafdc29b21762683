import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { refreshMetadata } from '../../../updater/release/refresh-metadata.ts';
import { loadTrust } from '../../../updater/trust/trust-store.ts';
import { makeAppliance, makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { type ReleaseServer, startReleaseServer } from '../../support/release-server.ts';
import { http, setUp } from './install.ts';

/** What a broken disk, or somebody as root, may leave in the place of a file of updater/trust. */
const oddities: readonly (readonly [string, (path: string) => void])[] = [
  ['nothing', () => undefined],
  ['garbage', (path) => writeFileSync(path, 'garbage')],
  ['an empty file', (path) => writeFileSync(path, '')],
  ['a file of 20 MB', (path) => writeFileSync(path, Buffer.alloc(20_000_000, ' '))],
  ['a directory with something in it', (path) => mkdirSync(join(path, 'inner'), { recursive: true })],
  ['a link', (path) => symlinkSync('/etc/hostname', path)],
  ['a link to nowhere', (path) => symlinkSync('/nowhere', path)],
  ['a FIFO', (path) => execFileSync('mkfifo', [path])],
];
const names = ['root.json', 'timestamp.json', 'snapshot.json', 'targets.json', 'trusted-time', 'roots'] as const;
const cases = names.flatMap((name) => oddities.map(([what, put]) => ({ name, what, put })));

let fixture: ReleaseFixture;
let server: ReleaseServer;
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  fixture.publish([]);
  server = await startReleaseServer(fixture.servedDir);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  fixture[Symbol.dispose]();
});

const versions = (layout: Layout) => {
  const { root, timestamp, snapshot, targets } = loadTrust({ files: realFiles, layout });
  return [root, timestamp, snapshot, targets].map((role) => role?.version);
};

describe('in the place of a file of updater/trust,', () => {
  it.each(cases)('$what for $name is healed by the next refresh', async ({ name, put }) => {
    using appliance = makeAppliance();
    const { layout } = appliance;
    const place = { files: realFiles, layout };
    setUp(fixture, layout);
    await refreshMetadata(place, http, server.base);
    const whole = versions(layout);
    const path = join(layout.trust, name);
    rmSync(path, { recursive: true });
    put(path);
    expect(loadTrust(place).root.version).toBe(whole[0]);
    await refreshMetadata(place, http, server.base);
    expect(versions(layout)).toEqual(whole);
  });

  it.each(oddities)('%s for every root leaves nothing that is trusted, and says so', (what, put) => {
    using appliance = makeAppliance();
    const { layout } = appliance;
    setUp(fixture, layout);
    rmSync(join(layout.trust, 'roots'), { recursive: true });
    rmSync(join(layout.trust, 'root.json'));
    put(join(layout.trust, 'root.json'));
    const isAFile = what === 'garbage' || what === 'an empty file';
    const code = isAFile ? 'tuf-malformed' : 'root-not-pinned';
    expect(() => loadTrust({ files: realFiles, layout })).toThrow(expect.objectContaining({ code }));
  });
});
