import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Updater } from 'tuf-js';
import { describe, expect, it } from 'vitest';
import {
  loadTrusted,
  type Trusted,
  timestampKeyWasReplaced,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTargetsFromFile,
  updateTimestamp,
  wantedSnapshot,
  wantedTargets,
} from '../../../protocol/trust/tuf.ts';
import { makeRoot } from '../../../protocol/trust/tuf-sign.ts';
import {
  findTarget,
  holdfastFields,
  issuedAtOf,
  targetPath,
  targetsExpireAt,
  verifyTarget,
} from '../../../protocol/trust/tuf-targets.ts';
import {
  generateRepositoryKeys,
  type RepositoryKeys,
  type RepositoryState,
  rootInput,
  serveFiles,
  signedRoot,
  signedState,
  targetFile,
  testExpires,
  testIssuedAt,
  testNow,
} from '../../support/tuf-repository.ts';

const keys = generateRepositoryKeys();
const manifest = Buffer.from('{"a":"manifest"}');
const file = targetFile('app-1.0.52.manifest.json', manifest);

function follow(trusted: Trusted, state: RepositoryState, now: Date | null = testNow): Trusted {
  return updateTargets(
    updateSnapshot(updateTimestamp(trusted, state.timestamp, now), state.snapshot, now),
    state.targets,
    now,
  );
}

describe('a repository made by our signer', () => {
  it('is accepted by the stock client of The Update Framework, over HTTP, with a root rotation', async () => {
    const rotated: RepositoryKeys = { ...generateRepositoryKeys(), root: keys.root };
    const root1 = signedRoot(keys);
    const root2 = signedRoot(rotated, 2);
    const state = signedState(rotated, { version: 3, targetsVersion: 7, snapshotVersion: 5, files: [file] });
    await using server = await serveFiles(
      new Map([
        ['/metadata/2.root.json', root2],
        ['/metadata/timestamp.json', state.timestamp],
        ['/metadata/5.snapshot.json', state.snapshot],
        ['/metadata/7.targets.json', state.targets],
        [`/targets/${targetPath(file)}`, manifest],
      ]),
    );
    const directory = await mkdtemp(join(tmpdir(), 'hf-tuf-'));
    try {
      await writeFile(join(directory, 'root.json'), root1);
      const updater = new Updater({
        metadataDir: directory,
        metadataBaseUrl: `${server.url}/metadata`,
        targetDir: directory,
        targetBaseUrl: `${server.url}/targets`,
      });
      await updater.refresh();
      const target = await updater.getTargetInfo(file.name);
      expect(target?.length).toBe(manifest.length);
      if (target === undefined) throw new Error('no target');
      const path = await updater.downloadTarget(target);
      expect(await readFile(path)).toEqual(manifest);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is accepted role by role, and names its files, keys and times', () => {
    const state = signedState(keys, { version: 3, targetsVersion: 7, snapshotVersion: 5, files: [file] });
    const start = trustRoot(signedRoot(keys));
    const withTimestamp = updateTimestamp(start, state.timestamp, testNow);
    expect(wantedSnapshot(withTimestamp)).toEqual({
      name: '5.snapshot.json',
      version: 5,
      length: state.snapshot.length,
    });
    const withSnapshot = updateSnapshot(withTimestamp, state.snapshot, testNow);
    expect(wantedSnapshot(withSnapshot)).toBeNull();
    expect(wantedTargets(withSnapshot)).toEqual({ name: '7.targets.json', version: 7, length: state.targets.length });
    const trusted = updateTargets(withSnapshot, state.targets, testNow);
    expect(wantedTargets(trusted)).toBeNull();
    expect(start.timestamp).toBeNull();

    expect(findTarget(trusted, file.name)).toEqual(file);
    expect(() => verifyTarget(file, manifest)).not.toThrow();
    expect(() => verifyTarget(file, Buffer.from('{"b":"manifest"}'))).toThrow(
      expect.objectContaining({ code: 'tuf-target-mismatch' }),
    );
    expect(() => findTarget(trusted, 'app-1.0.49.manifest.json')).toThrow(
      expect.objectContaining({ code: 'tuf-target-unknown' }),
    );
    expect(() => findTarget(trusted, '__proto__')).toThrow(expect.objectContaining({ code: 'tuf-target-unknown' }));
    expect(holdfastFields(trusted)).toEqual({
      answerKeys: [keys.answer.publicKey],
      operatorKeys: [keys.operator.publicKey],
    });
    expect(issuedAtOf(trusted)).toBe(testIssuedAt + 3);
    expect(issuedAtOf(start)).toBeNull();
    expect(targetsExpireAt(trusted)).toEqual(testExpires);
  });

  it('loads again from the bytes that were stored', () => {
    const state = signedState(keys, { files: [file] });
    const loaded = loadTrusted({ root: signedRoot(keys), ...state });
    expect(findTarget(loaded, file.name)).toEqual(file);
    expect(wantedTargets(loaded)).toBeNull();
  });
});

describe('what a power cut leaves behind', () => {
  it('still protects against a rollback when the timestamp is newer than the stored snapshot', () => {
    const old = signedState(keys, { version: 1, targetsVersion: 5 });
    const next = signedState(keys, { version: 2, targetsVersion: 6 });
    const loaded = loadTrusted({ root: signedRoot(keys), ...old, timestamp: next.timestamp });
    expect(wantedSnapshot(loaded)?.version).toBe(2);
    expect(() => wantedTargets(loaded)).toThrow(expect.objectContaining({ code: 'tuf-incomplete' }));
    const lower = signedState(keys, { version: 3, targetsVersion: 4 });
    const withTimestamp = updateTimestamp(loaded, lower.timestamp, testNow);
    expect(() => updateSnapshot(withTimestamp, lower.snapshot, testNow)).toThrow(
      expect.objectContaining({ code: 'tuf-version' }),
    );
    expect(follow(loaded, next).targets?.version).toBe(6);
  });

  it('drops timestamp and snapshot when the new root was stored and the roles that it ended were not deleted yet', () => {
    const state = signedState(keys, { version: 900, files: [file] });
    const rotated = { ...keys, snapshot: generateRepositoryKeys().snapshot };
    const loaded = loadTrusted({ root: signedRoot(rotated, 2), ...state });
    expect(loaded.timestamp).toBeNull();
    expect(loaded.snapshot).toBeNull();
    expect(loaded.targets?.version).toBe(900);
  });
});

describe('root rotation', () => {
  it('recovers from a fast-forward attack by replacing the timestamp key', () => {
    const attacked = follow(trustRoot(signedRoot(keys)), signedState(keys, { version: 4_000_000 }));
    const rotated = { ...keys, timestamp: generateRepositoryKeys().timestamp };
    const after = updateRoot(attacked, signedRoot(rotated, 2));
    expect(after.timestamp).toBeNull();
    expect(after.snapshot).toBeNull();
    expect(timestampKeyWasReplaced(attacked, after)).toBe(true);
    const state = signedState(rotated, { version: 2, targetsVersion: 4_000_001 });
    expect(follow(after, state).timestamp?.version).toBe(2);
  });

  it('keeps the roles when their keys stay, and targets as long as their key stays', () => {
    const before = follow(trustRoot(signedRoot(keys)), signedState(keys));
    const after = updateRoot(before, signedRoot(keys, 2));
    expect(after.timestamp?.version).toBe(1);
    expect(after.targets?.version).toBe(1);
    expect(timestampKeyWasReplaced(before, after)).toBe(false);
    const replaced = updateRoot(before, signedRoot({ ...keys, targets: generateRepositoryKeys().targets }, 2));
    expect(replaced.targets).toBeNull();
  });

  it('needs the old keys and the new ones, and every step in between', () => {
    const next = generateRepositoryKeys();
    const trusted = trustRoot(signedRoot(keys));
    const both = [keys.root[0], keys.root[1], next.root[0], next.root[1]];
    expect(updateRoot(trusted, makeRoot(rootInput(next, 2), both)).root.version).toBe(2);
    for (const signers of [both.slice(0, 2), both.slice(2), both.slice(1)]) {
      expect(() => updateRoot(trusted, makeRoot(rootInput(next, 2), signers))).toThrow(
        expect.objectContaining({ code: 'tuf-threshold' }),
      );
    }
    for (const version of [1, 3]) {
      expect(() => updateRoot(trusted, signedRoot(keys, version))).toThrow(
        expect.objectContaining({ code: 'tuf-version' }),
      );
    }
  });
});

describe('targets from a file', () => {
  it('decide when they are newer than the trusted ones, without timestamp, snapshot or time', () => {
    const stick = signedState(keys, { targetsVersion: 8, files: [file], expires: { targets: new Date(0) } });
    const trusted = updateTargetsFromFile(trustRoot(signedRoot(keys)), stick.targets);
    expect(findTarget(trusted, file.name)).toEqual(file);
  });

  it('do not decide when they are older: a release that the trusted ones revoked stays revoked', () => {
    const trusted = follow(trustRoot(signedRoot(keys)), signedState(keys, { version: 9 }));
    const stick = signedState(keys, { targetsVersion: 8, files: [file] });
    const after = updateTargetsFromFile(trusted, stick.targets);
    expect(after.targets?.version).toBe(9);
    expect(() => findTarget(after, file.name)).toThrow(expect.objectContaining({ code: 'tuf-target-unknown' }));
  });

  it('are not pushed back by a server that has older ones', () => {
    const stick = signedState(keys, { targetsVersion: 8, files: [file] });
    const state = signedState(keys, { version: 7 });
    const fromFile = updateTargetsFromFile(trustRoot(signedRoot(keys)), stick.targets);
    const online = updateSnapshot(updateTimestamp(fromFile, state.timestamp, testNow), state.snapshot, testNow);
    expect(wantedTargets(online)).toBeNull();
    expect(() => updateTargets(online, state.targets, testNow)).toThrow(
      expect.objectContaining({ code: 'tuf-version' }),
    );
  });
});
