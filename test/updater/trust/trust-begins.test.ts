import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Digest, sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { makeRoot } from '../../../protocol/trust/tuf-sign.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { refreshMetadata } from '../../../updater/release/refresh-metadata.ts';
import { lostTrustText, settleTrust } from '../../../updater/trust/trust-begins.ts';
import { installFirstRoot, loadTrust } from '../../../updater/trust/trust-store.ts';
import { generateRepositoryKeys, rootInput, serveFiles, signedRoot } from '../../support/tuf-repository.ts';
import { http } from '../release/install.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const keys = generateRepositoryKeys();
const newer = { ...keys, timestamp: generateRepositoryKeys().timestamp };
const signers = [keys.root[0], keys.root[1]] as const;
const [first, second, third] = [
  signedRoot(keys),
  makeRoot(rootInput(newer, 2), [...signers]),
  makeRoot(rootInput(newer, 3), [...signers]),
];
const pinned = sha256(first);
const settled = { isBegunAnew: false, notice: null };
const lost = { isBegunAnew: false, notice: lostTrustText };

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.updater, { recursive: true });
});
const place = () => ({ files: realFiles, layout });
const settle = (digest: Digest | null = pinned) => settleTrust({ ...place(), pinned: digest });
const version = () => loadTrust(place()).root.version;

/** As the walk of roots leaves it. */
async function walkTo(roots: ReadonlyMap<string, Buffer>): Promise<void> {
  await using server = await serveFiles(new Map([...roots].map(([name, bytes]) => [`/metadata/${name}`, bytes])));
  // There is nothing but roots, so the walk ends in a refusal; roots are stored one by one.
  await expect(refreshMetadata(place(), http, server.url)).rejects.toMatchObject({ code: 'http-status' });
}

describe('the root of trust of an appliance', () => {
  it('is copied outside of trust/, also where it was only there so far', async () => {
    installFirstRoot(place(), first, pinned);
    expect(await settle()).toEqual(settled);
    const copy = JSON.parse(readFileSync(layout.trustBegins, 'utf8'));
    expect(copy).toEqual({ v: 1, roots: [first.toString('base64')] });
    writeFileSync(layout.trustBegins, '{"x');
    expect(await settle()).toEqual(settled);
    expect(JSON.parse(readFileSync(layout.trustBegins, 'utf8'))).toEqual(copy);
  });

  it.each([
    ['trust/ is gone', () => rmSync(layout.trust, { recursive: true })],
    [
      'its roots are gone',
      () => {
        rmSync(join(layout.trust, 'root.json'));
        rmSync(join(layout.trust, 'roots'), { recursive: true });
      },
    ],
    [
      'none of its roots can be read',
      () => {
        rmSync(join(layout.trust, 'roots'), { recursive: true });
        writeFileSync(join(layout.trust, 'root.json'), 'garbage');
      },
    ],
  ])('is begun anew from the copy when %s, and the walk of roots goes on from there', async (_what, damage) => {
    installFirstRoot(place(), first, pinned);
    await walkTo(new Map([['2.root.json', second]]));
    await settle();
    damage();
    expect(await settle()).toEqual({ isBegunAnew: true, notice: null });
    expect(version()).toBe(2);
    expect(await settle()).toEqual(settled);
    await walkTo(new Map([['3.root.json', third]]));
    expect(version()).toBe(3);
    await settle();
    expect(JSON.parse(readFileSync(layout.trustBegins, 'utf8')).roots).toHaveLength(3);
  });

  it('is not taken from a copy that begins with another root than the claim pinned, or is not whole', async () => {
    const strange = signedRoot(generateRepositoryKeys());
    for (const bytes of [strange, Buffer.from('garbage')]) {
      writeFileSync(layout.trustBegins, JSON.stringify({ v: 1, roots: [bytes.toString('base64')] }));
      expect(await settle()).toEqual(lost);
    }
    writeFileSync(layout.trustBegins, JSON.stringify({ v: 1, roots: [Buffer.from('x').toString('base64')] }));
    expect(await settle(sha256('x'))).toEqual(lost);
    expect(() => loadTrust(place())).toThrow(expect.objectContaining({ code: 'root-not-pinned' }));
  });

  it('goes only as far as each root of the copy is signed by the one before it', async () => {
    const strange = signedRoot(generateRepositoryKeys(), 2);
    const roots = [first, strange].map((bytes) => bytes.toString('base64'));
    writeFileSync(layout.trustBegins, JSON.stringify({ v: 1, roots }));
    expect(await settle()).toMatchObject({ isBegunAnew: true });
    expect(version()).toBe(1);
    await settle();
    expect(JSON.parse(readFileSync(layout.trustBegins, 'utf8')).roots).toEqual([first.toString('base64')]);
  });

  it('whose copy is gone too is lost, said at once, and given again by a claim', async () => {
    installFirstRoot(place(), first, pinned);
    writeFileSync(join(layout.trust, 'root.json'), 'garbage');
    rmSync(join(layout.trust, 'roots'), { recursive: true });
    expect(await settle()).toEqual(lost);
    installFirstRoot(place(), second, sha256(second));
    expect(await settle(sha256(second))).toEqual(settled);
    expect(version()).toBe(2);
  });

  it('is known by the copy alone, where the identity is lost too', async () => {
    installFirstRoot(place(), first, pinned);
    await settle();
    rmSync(layout.trust, { recursive: true });
    expect(await settle(null)).toEqual({ isBegunAnew: true, notice: null });
    expect(version()).toBe(1);
  });

  it('that lies on a bad block is begun anew from the copy, or said to be lost, and no run stops', async () => {
    installFirstRoot(place(), first, pinned);
    await settle();
    const files = withOperations({
      openRead: (path) => {
        if (path.startsWith(`${layout.trust}/`)) throw systemError('EIO');
        return realFiles.openRead(path);
      },
    });
    expect(await settleTrust({ files, layout, pinned })).toEqual({ isBegunAnew: true, notice: null });
    rmSync(layout.trustBegins);
    expect(await settleTrust({ files, layout, pinned })).toEqual(lost);
  });

  it('that the disk does not take back is said to be so, and no run stops', async () => {
    installFirstRoot(place(), first, pinned);
    await settle();
    rmSync(layout.trust, { recursive: true });
    const files = withOperations({
      makeDirectory: () => {
        throw systemError('EROFS');
      },
    });
    const { notice } = await settleTrust({ files, layout, pinned });
    expect(notice).toMatch(/cannot be begun anew from its copy, so releases cannot be verified: .*EROFS/);
  });
});
