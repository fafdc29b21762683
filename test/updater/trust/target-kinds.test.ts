import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TargetFile, Targets } from '@tufjs/models';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from './client.ts';
import { Simulator, setVersion, signer } from './simulator.ts';

/** Kinds of cases of the public conformance suite that are about how a target is found, named and hashed. */
let client: Client;
let repository: Simulator;

afterEach(() => client.end());

async function open(made = new Simulator()): Promise<void> {
  repository = made;
  client = new Client(made);
  expect(await client.init()).toBe(0);
}

const content = Buffer.from('what is wanted');
const digest = (algorithm: string, bytes = content) => createHash(algorithm).update(bytes).digest('hex');
const isKept = (name: string) => existsSync(join(client.directory, encodeURIComponent(name)));
function publish(): void {
  setVersion(repository.targets, repository.targets.version + 1);
  repository.update();
}

describe('hash bins (succinct roles)', () => {
  const prefix = 'bin';
  const bits = 3;
  /** TUF 4.5: the first bits of the path's SHA-256 are the number of its bin, in hex. */
  const binOf = (path: string) =>
    `${prefix}-${(Number.parseInt(digest('sha256', Buffer.from(path)).slice(0, 2), 16) >> (8 - bits)).toString(16)}`;

  function delegateToBins(): void {
    const own = signer();
    const json = repository.targets.toJSON() as Record<string, unknown>;
    const role = { keyids: [own.key.keyID], threshold: 1, bit_length: bits, name_prefix: prefix };
    repository.targets = Targets.fromJSON({
      ...json,
      delegations: { keys: { [own.key.keyID]: own.key.toJSON() }, succinct_roles: role },
    } as never);
    for (let bin = 0; bin < 2 ** bits; bin += 1) {
      const name = `${prefix}-${bin.toString(16)}`;
      repository.signers[name] = [own];
      repository.delegated.set(
        name,
        new Targets({ specVersion: '1.0.31', version: 1, expires: repository.targets.expires }),
      );
    }
  }

  it('give each path its own bin, and no other is asked', async () => {
    await open();
    delegateToBins();
    const names = ['a.txt', 'b.txt', 'file-7', 'x'];
    for (const name of names) repository.addFile(binOf(name), name, content);
    publish();
    expect(await client.download(...names)).toBe(0);
    for (const name of names) expect(isKept(name)).toBe(true);
    const asked = repository.requests.filter((path) => path.includes(`.${prefix}-`));
    expect(new Set(asked.map((path) => path.split('.').at(-2)))).toEqual(new Set(names.map(binOf)));
  });

  it('do not give a path that lies in another bin', async () => {
    await open();
    delegateToBins();
    const wrong = `${prefix}-${((Number.parseInt(binOf('a.txt').at(-1) ?? '0', 16) + 1) % 2 ** bits).toString(16)}`;
    repository.addFile(wrong, 'a.txt', content);
    publish();
    expect(await client.download('a.txt')).toBe(1);
    expect(isKept('a.txt')).toBe(false);
  });
});

describe('path_hash_prefixes', () => {
  function delegateByPrefix(prefixes: readonly string[]): void {
    const own = signer();
    repository.signers.hashed = [own];
    const role = {
      name: 'hashed',
      keyids: [own.key.keyID],
      threshold: 1,
      terminating: false,
      path_hash_prefixes: prefixes,
    };
    repository.targets = Targets.fromJSON({
      ...repository.targets.toJSON(),
      delegations: { keys: { [own.key.keyID]: own.key.toJSON() }, roles: [role] },
    } as never);
    repository.delegated.set(
      'hashed',
      new Targets({ specVersion: '1.0.31', version: 1, expires: repository.targets.expires }),
    );
    repository.addFile('hashed', 'a.txt', content);
    publish();
  }

  it('let a role speak for the paths whose hash begins so', async () => {
    await open();
    delegateByPrefix(['00ff', digest('sha256', Buffer.from('a.txt')).slice(0, 4)]);
    expect(await client.download('a.txt')).toBe(0);
    expect(isKept('a.txt')).toBe(true);
  });

  it('do not let it speak for any other', async () => {
    await open();
    const first = digest('sha256', Buffer.from('a.txt'))[0] === '0' ? '1' : '0';
    delegateByPrefix([first]);
    expect(await client.download('a.txt')).toBe(1);
    expect(repository.requests.some((path) => path.endsWith('.hashed.json'))).toBe(false);
  });
});

describe('the hashes of a target', () => {
  /** Lists the content under these hashes, and serves it under the first one's name. */
  function add(hashes: Record<string, string>): void {
    repository.targets.addTarget(new TargetFile({ path: 'a.txt', length: content.length, hashes }));
    for (const value of Object.values(hashes)) repository.files.set(`${value}.a.txt`, content);
    publish();
  }

  it.each([['sha256'], ['sha512'], ['sha384'], ['sha256', 'sha512']])('may be %s %s', async (...algorithms) => {
    await open();
    add(Object.fromEntries(algorithms.map((algorithm) => [algorithm, digest(algorithm)])));
    expect(await client.download('a.txt')).toBe(0);
    expect(isKept('a.txt')).toBe(true);
  });

  it.each([
    ['the second of two is wrong', { sha256: digest('sha256'), sha512: digest('sha512', Buffer.from('other')) }],
    ['the first of two is wrong', { sha256: digest('sha256', Buffer.from('other')), sha512: digest('sha512') }],
    ['its only one is of a kind that nobody knows', { none256: digest('sha256') }],
  ])('must all be right: refused when %s', async (_what, hashes) => {
    await open();
    add(hashes);
    expect(await client.download('a.txt')).toBe(1);
    expect(isKept('a.txt')).toBe(false);
  });
});

describe('a walk of the roots', () => {
  it('takes 256 at once and no more; the next refresh goes on', async () => {
    await open();
    for (let version = 2; version <= 300; version += 1) {
      setVersion(repository.root, version);
      repository.publishRoot();
    }
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()['root.json']).toBe(257);
    expect(repository.requests.filter((path) => path.endsWith('.root.json'))).toHaveLength(256);
    expect(await client.refresh()).toBe(0);
    expect(client.stored()['root.json']).toBe(300);
  });
});

describe('metadata', () => {
  it('may carry fields that nobody knows, and they stay signed', async () => {
    await open();
    Object.assign(repository.timestamp.unrecognizedFields, { 'x-custom': { a: [1] } });
    Object.assign(repository.targets.unrecognizedFields, { 'x-other': true });
    publish();
    expect(await client.refresh()).toBe(0);
  });

  it('of a delegated role that has expired is not believed', async () => {
    await open();
    repository.delegate('targets', 'late', ['*']);
    repository.addFile('late', 'a.txt', content);
    Object.assign(repository.delegated.get('late') ?? {}, { expires: '2020-01-01T00:00:00Z' });
    publish();
    expect(await client.download('a.txt')).toBe(1);
  });

  it('is asked for once, and a file that is here already is not fetched again', async () => {
    await open();
    repository.addFile('targets', 'a.txt', content);
    publish();
    expect(await client.download('a.txt')).toBe(0);
    const before = repository.requests.filter((path) => path.startsWith('/targets')).length;
    expect(await client.download('a.txt')).toBe(0);
    expect(repository.requests.filter((path) => path.startsWith('/targets')).length).toBe(before);
  });

  it('of the same version with another content is not taken for the one that is known', async () => {
    await open();
    publish();
    expect(await client.refresh()).toBe(0);
    const before = client.stored();
    Object.assign(repository.timestamp.snapshotMeta, { version: repository.snapshot.version + 5 });
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toEqual(before);
  });
});
