import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { refreshMetadata } from '../../../updater/release/refresh-metadata.ts';
import { verifySlot } from '../../../updater/release/verify-slot.ts';
import { ReleaseError } from '../../../updater/trust/release-error.ts';
import { loadTrust } from '../../../updater/trust/trust-store.ts';
import { archive, makeAppliance, makeReleaseFixture, noise } from '../../support/bundle-fixture.ts';
import { flipByte } from '../../support/lying-server.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import { fetchInto, fromFile, http, installFile, setUp } from './install.ts';

const files = { 'main.js': Buffer.from('export {};\n'.repeat(400)), 'data.bin': noise('data', 300_000) };

/** The code that refuses it, or null when it was accepted. Anything but a ReleaseError fails the test. */
async function refusal(work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof ReleaseError && error.message.length > 10 && error.next.length > 10) return error.code;
    throw error;
  }
}

/** Where the entries of a bundle begin, from the real file. */
function regionsOf(bundle: Buffer): { name: string; from: number; to: number }[] {
  const regions: { name: string; from: number; to: number }[] = [];
  let position = 0;
  while (bundle[position] !== 0) {
    const name = bundle.toString('latin1', position, position + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(bundle.toString('latin1', position + 124, position + 135), 8);
    const end = position + 512 + Math.ceil(size / 512) * 512;
    regions.push({ name: `header of ${name}`, from: position, to: position + 512 });
    regions.push({ name, from: position + 512, to: end });
    position = end;
  }
  regions.push({ name: 'end', from: position, to: bundle.length });
  return regions;
}

describe('a damaged release', () => {
  it('is refused with a code and a sentence wherever one byte of the bundle is flipped', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const { layout } = appliance;
    const release = await fixture.build({ version: '1.0.52', files });
    setUp(fixture, layout);
    const good = readFileSync(release.path);
    const accepted: string[] = [];
    for (const { name, from, to } of regionsOf(good)) {
      const step = Math.max(1, Math.floor((to - from) / 40));
      for (let position = from; position < to; position += step) {
        const bytes = Buffer.from(good);
        const mask = position % 2 === 0 ? 0x01 : 0x80;
        bytes[position] = (bytes[position] ?? 0) ^ mask;
        const path = join(layout.root, 'flipped.hfb');
        writeFileSync(path, bytes);
        const code = await refusal(async () => {
          const resolved = await fromFile(layout, path);
          try {
            await fetchInto(layout, resolved);
          } finally {
            resolved.bundle.source.close();
          }
        });
        if (code === null) accepted.push(`${name} + ${position - from}`);
        // Nothing that a damaged file brought may help the next one along.
        rmSync(layout.work, { recursive: true, force: true });
        rmSync(join(layout.trust, 'targets.json'), { force: true });
      }
    }
    expect(accepted).toEqual([]);
    await installFile(layout, release.path);
    expect(verifySlot(realFiles, layout.slot('app', '0')).sound).toBe(true);
  });

  it('is refused wherever the file ends early, and when anything follows it', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await fixture.build({ version: '1.0.52', files });
    setUp(fixture, appliance.layout);
    const good = readFileSync(release.path);
    const path = join(appliance.layout.root, 'cut.hfb');
    const refuse = async (bytes: Buffer) => {
      writeFileSync(path, bytes);
      return refusal(() => fromFile(appliance.layout, path));
    };
    for (let size = 1; size < good.length; size += Math.floor(good.length / 60)) {
      const code = await refuse(good.subarray(0, size));
      expect(['truncated', 'not-a-bundle'], `${size} bytes`).toContain(code);
    }
    expect(await refuse(Buffer.alloc(0))).toBe('truncated');
    expect(await refuse(good.subarray(0, good.length - 1))).toBe('truncated');
    writeFileSync(path, good.subarray(0, good.length - 1));
    const next = expect.stringMatching(/^The file is not whole: copy it again/);
    await expect(fromFile(appliance.layout, path)).rejects.toMatchObject({ code: 'truncated', next });
    expect(await refuse(Buffer.concat([good, Buffer.from('x')]))).toBe('bad-bundle');
    expect(await refuse(Buffer.concat([good, good]))).toBe('bad-bundle');
    expect(await refuse(Buffer.from('<!doctype html>'.repeat(100)))).toBe('not-a-bundle');
  });

  it('is refused when the bundle has other, double or missing entries', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await fixture.build({ version: '1.0.52', files });
    setUp(fixture, appliance.layout);
    const good = readFileSync(release.path);
    const entries = regionsOf(good)
      .filter(({ name }) => !name.startsWith('header of ') && name !== 'end')
      .map(({ name, from }) => {
        const size = Number.parseInt(good.toString('latin1', from - 512 + 124, from - 512 + 135), 8);
        return [name, good.subarray(from, from + size)] as const;
      });
    expect(archive(entries).equals(good)).toBe(true);
    const root = entries[0] ?? (['', Buffer.alloc(0)] as const);
    const variants = [
      [...entries, ['extra', Buffer.from('x')] as const],
      [...entries, ...entries.slice(-1)],
      [root, ...entries],
      entries.filter(([name]) => name !== 'metadata/targets.json'),
      entries.filter(([name]) => name !== 'chunks'),
      [...entries].reverse(),
      entries.map(([name, bytes]) => [name === 'chunks' ? '../chunks' : name, bytes] as const),
    ];
    const path = join(appliance.layout.root, 'variant.hfb');
    for (const variant of variants) {
      writeFileSync(path, archive(variant));
      expect(['bad-bundle', 'truncated', 'not-a-bundle']).toContain(
        await refusal(() => fromFile(appliance.layout, path)),
      );
    }
  });

  it('is refused wherever one byte of the metadata on the server is flipped, and what was trusted stays', async () => {
    using fixture = await makeReleaseFixture();
    const release = await fixture.build({ version: '1.0.52', files });
    fixture.publish([release]);
    await using server = await startReleaseServer(fixture.servedDir);
    for (const [name, url] of [
      ['timestamp.json', 'timestamp.json'],
      ['1.snapshot.json', '1.snapshot.json'],
      ['targets', readTargetsName(fixture.servedDir)],
    ] as const) {
      const size = readFileSync(join(fixture.servedDir, 'metadata', url)).length;
      for (let position = 0; position < size; position += Math.max(1, Math.floor(size / 40))) {
        using appliance = makeAppliance();
        setUp(fixture, appliance.layout);
        server.misbehave(flipByte(`/metadata/${url}`, position, position % 2 === 0 ? 0x01 : 0x20));
        const place = { files: realFiles, layout: appliance.layout };
        const code = await refusal(() => refreshMetadata(place, http, server.base));
        expect(code, `${name} + ${position}`).not.toBeNull();
        expect(loadTrust(place).targets).toBeNull();
        server.misbehave(null);
        expect((await refreshMetadata(place, http, server.base)).targets).not.toBeNull();
      }
    }
  });

  it('is refused when other keys signed it', async () => {
    using ours = await makeReleaseFixture();
    using theirs = await makeReleaseFixture();
    using appliance = makeAppliance();
    const release = await theirs.build({ version: '1.0.52', files });
    setUp(ours, appliance.layout);
    expect(await refusal(() => fromFile(appliance.layout, release.path))).toBe('tuf-mismatch');
    theirs.publish([release]);
    await using server = await startReleaseServer(theirs.servedDir);
    const place = { files: realFiles, layout: appliance.layout };
    expect(await refusal(() => refreshMetadata(place, http, server.base))).toBe('tuf-threshold');
    expect(existsSync(join(appliance.layout.trust, 'timestamp.json'))).toBe(false);
  });

  it('is refused when a signed manifest names a path outside the slot', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    setUp(fixture, appliance.layout);
    const release = await fixture.build({ version: '1.0.52', files });
    const good = readFileSync(release.path);
    const at = regionsOf(good).find(({ name }) => name === 'manifest.json.zst');
    const manifest = JSON.parse(zstdDecompressSync(good.subarray(at?.from, at?.to)).toString('utf8'));
    const chunksAt = regionsOf(good).find(({ name }) => name === 'chunks');
    const chunks = good.subarray(
      chunksAt?.from,
      (chunksAt?.from ?? 0) + manifest.chunks.reduce((sum: number, { stored }: { stored: number }) => sum + stored, 0),
    );
    const paths = ['../outside', '/etc/passwd', 'lib/../../outside', '.seal', 'a\\b', 'main.js/below'];
    for (const [index, path] of paths.entries()) {
      const version = `2.0.${index}`;
      const bytes = Buffer.from(
        JSON.stringify({ ...manifest, version, files: [...manifest.files, { ...manifest.files[0], path }] }),
      );
      const raw = await fixture.buildRaw({ component: 'app', version }, bytes, chunks);
      expect(await refusal(() => fromFile(appliance.layout, raw)), path).toBe('bad-manifest');
    }
    expect(existsSync(join(appliance.layout.root, 'outside'))).toBe(false);
  });

  it('is refused when a chunk unpacks to more than its signed size', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    setUp(fixture, appliance.layout);
    const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
    const chunk = { sha256: sha256('x'), size: 1, offset: 0, stored: bomb.length };
    const manifest = Buffer.from(
      JSON.stringify({
        format: 1,
        component: 'updater',
        version: '2.0.0',
        securityVersion: 0,
        entry: 'main.js',
        runtime: null,
        files: [{ path: 'main.js', executable: false, size: 1, sha256: sha256('x'), chunks: [0] }],
        chunks: [chunk],
        compatibility: { state: { reads: { min: 0, max: 0 }, writes: 0 } },
        stateBytesMax: 0,
        source: { commit: '', builtBy: '' },
        sbom: sha256(''),
      }),
    );
    const path = await fixture.buildRaw({ component: 'updater', version: '2.0.0' }, manifest, bomb);
    const resolved = await fromFile(appliance.layout, path);
    expect(await refusal(() => fetchInto(appliance.layout, resolved))).toBe('bad-chunk');
    resolved.bundle.source.close();
  });

  it('leaves the slots that are there as they are', async () => {
    using fixture = await makeReleaseFixture();
    using appliance = makeAppliance();
    setUp(fixture, appliance.layout);
    const first = await fixture.build({ version: '1.0.52', files });
    await installFile(appliance.layout, first.path, '0');
    const second = await fixture.build({ version: '1.0.53', files: { 'main.js': noise('other', 200_000) } });
    const path = join(appliance.layout.root, 'copy.hfb');
    copyFileSync(second.path, path);
    const bytes = readFileSync(path);
    bytes[bytes.length - 60_000] = (bytes[bytes.length - 60_000] ?? 0) ^ 4;
    writeFileSync(path, bytes);
    expect(await refusal(() => installFile(appliance.layout, path, '1', 2))).toBe('bad-chunk');
    expect(existsSync(appliance.layout.slot('app', '1'))).toBe(false);
    expect(verifySlot(realFiles, appliance.layout.slot('app', '0'), first.manifest).sound).toBe(true);
  });
});

function readTargetsName(servedDir: string): string {
  const snapshot = JSON.parse(readFileSync(join(servedDir, 'metadata', '1.snapshot.json'), 'utf8'));
  return `${snapshot.signed.meta['targets.json'].version}.targets.json`;
}
