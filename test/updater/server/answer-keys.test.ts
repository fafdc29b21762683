import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { answerKeysShape } from '../../../protocol/answer-keys.ts';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair, type PublicKey } from '../../../protocol/trust/ed25519.ts';
import { updateTargetsFromFile } from '../../../protocol/trust/tuf.ts';
import { makeRoot, makeTargets } from '../../../protocol/trust/tuf-sign.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { answerKeysNow, refreshedAnswerKeys } from '../../../updater/server/answer-keys.ts';
import { installFirstRoot, loadTrust, promote } from '../../../updater/trust/trust-store.ts';
import { makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import { generateRepositoryKeys, rootInput, signedRoot, testExpires } from '../../support/tuf-repository.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const claimed = generateKeyPair().publicKey;
const named = generateKeyPair().publicKey;
let layout: Layout;
let lines: string[];
beforeEach(() => {
  layout = temporaryAppliance();
  lines = [];
});
const deps = (files: Files = realFiles, url = 'http://127.0.0.1:9') => ({
  files,
  layout,
  identity: { answerKeys: [claimed], url },
  log: (line: string) => void lines.push(line),
});
const written = () => answerKeysShape.parse(JSON.parse(readFileSync(layout.answerKeys, 'utf8'))).answerKeys;

const keys = generateRepositoryKeys();
/** Trusts a root and, signed by its keys, targets that name these. */
function trust(answerKeys: readonly PublicKey[] | null, version = 1): void {
  const place = { files: realFiles, layout };
  const root = signedRoot(keys);
  if (version === 1) installFirstRoot(place, root, sha256(root));
  if (answerKeys === null) return;
  const before = loadTrust(place);
  const holdfast = { answerKeys, operatorKeys: [] };
  const targets = makeTargets({ version, expires: testExpires, issuedAt: 1, targets: [], holdfast }, [keys.targets]);
  promote(place, before, updateTargetsFromFile(before, targets));
}

describe('the keys that the server answers with', () => {
  it('are those of the claim until targets name some, and nothing is written for the agent', async () => {
    expect(await answerKeysNow(deps())).toEqual([claimed]);
    trust(null);
    expect(await answerKeysNow(deps())).toEqual([claimed]);
    expect(realFiles.stat(layout.answerKeys)).toBeNull();
  });

  it('are those that targets name, and only those: the key of the claim may have been stolen', async () => {
    trust([named]);
    expect(await answerKeysNow(deps())).toEqual([named]);
    expect(written()).toEqual([named]);
    const next = generateKeyPair().publicKey;
    trust([next, named], 2);
    expect(await answerKeysNow(deps())).toEqual([next, named]);
    expect(written()).toEqual([next, named]);
  });

  it('stay as they were named last while a new root does not vouch for the stored targets', async () => {
    trust([named]);
    await answerKeysNow(deps());
    const place = { files: realFiles, layout };
    const other = generateKeyPair();
    const input = rootInput(keys, 2);
    const roles = { ...input.roles, targets: { keys: [other.publicKey], threshold: 1 } };
    const root = makeRoot({ ...input, roles }, [keys.root[0], keys.root[1]]);
    writeFileSync(join(layout.trust, 'root.json'), root);
    expect(loadTrust(place).targets).toBeNull();
    expect(await answerKeysNow(deps())).toEqual([named]);
  });

  it.each<[string, () => void]>([
    ['is garbage', () => writeFileSync(layout.answerKeys, 'garbage')],
    ['is empty', () => writeFileSync(layout.answerKeys, '')],
    ['is huge', () => writeFileSync(layout.answerKeys, Buffer.alloc(1_000_000))],
    [
      'names other metadata',
      () =>
        writeFileSync(
          layout.answerKeys,
          readFileSync(layout.answerKeys)
            .toString()
            .replace(/"of":"./, '"of":"f'),
        ),
    ],
    ['is missing', () => rmSync(layout.answerKeys)],
    [
      'is a link',
      () => {
        rmSync(layout.answerKeys);
        symlinkSync('/etc/hostname', layout.answerKeys);
      },
    ],
  ])('are taken from the metadata again when the file for the agent %s', async (_what, damage) => {
    trust([named]);
    await answerKeysNow(deps());
    damage();
    expect(await answerKeysNow(deps())).toEqual([named]);
    expect(written()).toEqual([named]);
  });

  it('are known to the updater although nothing can be written, and it says so', async () => {
    trust([named]);
    const full: Files = {
      ...realFiles,
      create: () => {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      },
    };
    expect(await answerKeysNow(deps(full))).toEqual([named]);
    expect(lines.join()).toContain('no space left');
  });

  it('are those of before when the stored metadata is damaged, and it says so', async () => {
    trust([named]);
    await answerKeysNow(deps());
    writeFileSync(join(layout.trust, 'root.json'), 'garbage');
    rmSync(join(layout.trust, 'roots'), { recursive: true });
    expect(await answerKeysNow(deps())).toEqual([named]);
    expect(lines.join()).toContain('could not be taken');
  });
});

describe('a key that is not known here', () => {
  async function published(answer: PublicKey): Promise<{ fixture: ReleaseFixture; url: string }> {
    const fixture = await makeReleaseFixture(answer);
    fixture.publish([]);
    const server = await startReleaseServer(fixture.servedDir);
    onTestFinished(async () => {
      await server[Symbol.asyncDispose]();
      fixture[Symbol.dispose]();
    });
    return { fixture, url: server.base.replace(/\/releases$/, '') };
  }

  it('makes the updater fetch the metadata, which names the keys of today', async () => {
    const { fixture, url } = await published(named);
    installFirstRoot({ files: realFiles, layout }, fixture.root, sha256(fixture.root));
    expect(await refreshedAnswerKeys({ ...deps(realFiles, url), http: makeHttp() })).toEqual([named]);
  });

  it('brings nothing when whoever answers has no metadata that the pinned root vouches for', async () => {
    const { url } = await published(named);
    const mine = await published(claimed);
    installFirstRoot({ files: realFiles, layout }, mine.fixture.root, sha256(mine.fixture.root));
    expect(await refreshedAnswerKeys({ ...deps(realFiles, url), http: makeHttp() })).toEqual([claimed]);
    expect(lines.join()).toContain('no newer keys');
    expect(await refreshedAnswerKeys({ ...deps(), http: makeHttp() })).toEqual([claimed]);
  });
});
