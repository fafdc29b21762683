import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { manifestTargetName } from '../../../protocol/manifest.ts';
import { generateKeyPair, type KeyPair } from '../../../protocol/trust/ed25519.ts';
import { makeRoot, makeTargets } from '../../../protocol/trust/tuf-sign.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { installFirstRoot, loadTrust } from '../../../updater/trust/trust-store.ts';
import { makeAppliance, makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { type Unwrapped, unwrapped, wrap } from '../../support/rewrapped-bundle.ts';
import {
  generateRepositoryKeys,
  rootInput,
  targetFile,
  testExpires,
  testIssuedAt,
} from '../../support/tuf-repository.ts';
import { fromFile } from './install.ts';

const keys = generateRepositoryKeys();
const laterTargets = generateKeyPair();
const signers = [keys.root[0], keys.root[1]];

/** Root N; from 2 on the targets are signed by another key. */
function root(version: number, signedBy = signers): Buffer {
  const input = rootInput(keys, version);
  const targets = { keys: [laterTargets.publicKey], threshold: 1 };
  return makeRoot(version === 1 ? input : { ...input, roles: { ...input.roles, targets } }, signedBy);
}
const roots = [1, 2, 3, 4].map((version) => [version, root(version)] as const);
const rootsFrom = (first: number, last: number) => roots.slice(first - 1, last);

let fixture: ReleaseFixture;
const release: { old: Unwrapped; recent: Unwrapped } = {
  old: { manifest: Buffer.alloc(0), chunks: Buffer.alloc(0) },
  recent: { manifest: Buffer.alloc(0), chunks: Buffer.alloc(0) },
};
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  const files = { 'main.js': Buffer.from('old') };
  release.old = await unwrapped((await fixture.build({ version: '1.0.52', files })).path);
  release.recent = await unwrapped((await fixture.build({ version: '1.0.54', files })).path);
});
afterAll(() => fixture[Symbol.dispose]());

function targets(version: number, key: KeyPair, listed: readonly ('1.0.52' | '1.0.54')[]): Buffer {
  const manifests = { '1.0.52': release.old.manifest, '1.0.54': release.recent.manifest };
  const files = listed.map((one) => targetFile(manifestTargetName('app', one), manifests[one]));
  const holdfast = { answerKeys: [keys.answer.publicKey], operatorKeys: [keys.operator.publicKey] };
  return makeTargets({ version, expires: testExpires, issuedAt: testIssuedAt, targets: files, holdfast }, [key]);
}

let layout: Layout;
beforeEach(() => {
  const appliance = makeAppliance();
  onTestFinished(() => appliance[Symbol.dispose]());
  layout = appliance.layout;
  const first = root(1);
  installFirstRoot({ files: realFiles, layout }, first, sha256(first));
});

const trusted = () => loadTrust({ files: realFiles, layout });
const bundle = (what: Unwrapped, carried: readonly (readonly [number, Buffer])[], listed: Buffer) =>
  wrap(join(layout.root, `${sha256(listed).slice(0, 12)}.hfb`), what, carried, listed);
async function take(path: string): Promise<string> {
  const { manifest, bundle: opened } = await fromFile(layout, path);
  opened.source.close();
  return manifest.version;
}
const refusal = (path: string) => expect(take(path)).rejects;

/** The appliance saw root 2 and targets 5, which another key than before signed. */
async function seesTheLaterKey(listed: readonly ('1.0.52' | '1.0.54')[]): Promise<void> {
  await take(bundle(release.recent, rootsFrom(1, 2), targets(5, laterTargets, listed)));
  expect([trusted().root.version, trusted().targets?.version]).toEqual([2, 5]);
}

describe('an older bundle, whose targets are lower than the stored ones', () => {
  it('is judged by the stored targets, and its own are never promoted', async () => {
    await seesTheLaterKey(['1.0.52', '1.0.54']);
    const stored = readFileSync(join(layout.trust, 'targets.json'));
    expect(await take(bundle(release.old, rootsFrom(1, 2), targets(4, laterTargets, ['1.0.52'])))).toBe('1.0.52');
    expect(readFileSync(join(layout.trust, 'targets.json')).equals(stored)).toBe(true);
  });

  it('is revoked when the stored targets do not list its release any more', async () => {
    await seesTheLaterKey(['1.0.54']);
    await refusal(bundle(release.old, rootsFrom(1, 2), targets(4, laterTargets, ['1.0.52']))).toMatchObject({
      code: 'revoked',
    });
  });

  it('is taken although the key that signed its targets was replaced since', async () => {
    await seesTheLaterKey(['1.0.52', '1.0.54']);
    const old = targets(3, keys.targets, ['1.0.52']);
    expect(await take(bundle(release.old, rootsFrom(1, 1), old))).toBe('1.0.52');
    expect(await take(bundle(release.old, [], old))).toBe('1.0.52');
  });

  it('is told to be damaged when a byte of its targets changed, whoever signed them', async () => {
    await seesTheLaterKey(['1.0.52', '1.0.54']);
    for (const key of [keys.targets, laterTargets]) {
      const damaged = Buffer.from(targets(3, key, ['1.0.52']).toString('utf8').replace('"length":', '"length":1'));
      await refusal(bundle(release.old, rootsFrom(1, 2), damaged)).toMatchObject({ code: 'tuf-threshold' });
    }
  });

  it('is refused when a stranger signed its targets', async () => {
    await seesTheLaterKey(['1.0.52', '1.0.54']);
    const foreign = targets(3, generateKeyPair(), ['1.0.52']);
    await refusal(bundle(release.old, rootsFrom(1, 1), foreign)).toMatchObject({ code: 'tuf-threshold' });
  });
});

describe('the roots that a bundle carries', () => {
  it('may begin right after the one that is known here', async () => {
    expect(await take(bundle(release.old, rootsFrom(2, 3), targets(5, laterTargets, ['1.0.52'])))).toBe('1.0.52');
    expect(trusted().root.version).toBe(3);
  });

  it('are refused when one between them and ours is missing, and nothing is promoted', async () => {
    const path = bundle(release.old, rootsFrom(3, 4), targets(5, laterTargets, ['1.0.52']));
    await refusal(path).toMatchObject({
      code: 'tuf-incomplete',
      message: expect.stringContaining('root 2 is missing'),
    });
    expect([trusted().root.version, trusted().targets]).toEqual([1, null]);
  });

  it('are refused when there is a gap in them', async () => {
    const gap = [...rootsFrom(1, 1), ...rootsFrom(3, 3)];
    await refusal(bundle(release.old, gap, targets(5, laterTargets, ['1.0.52']))).toMatchObject({ code: 'bad-bundle' });
    expect(trusted().root.version).toBe(1);
  });

  it('may all be older than the one that is known here', async () => {
    await take(bundle(release.recent, rootsFrom(1, 4), targets(5, laterTargets, ['1.0.54'])));
    const newer = targets(6, laterTargets, ['1.0.52', '1.0.54']);
    expect(await take(bundle(release.old, rootsFrom(1, 2), newer))).toBe('1.0.52');
    expect([trusted().root.version, trusted().targets?.version]).toEqual([4, 6]);
  });

  it('are refused when one of them is not the one that was seen here', async () => {
    await seesTheLaterKey(['1.0.52', '1.0.54']);
    const other = [[2, root(2, [keys.root[1], keys.root[2]])]] as const;
    await refusal(bundle(release.old, other, targets(6, laterTargets, ['1.0.52']))).toMatchObject({
      code: 'tuf-mismatch',
    });
  });
});
