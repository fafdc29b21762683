import { createPublicKey } from 'node:crypto';
import type { Key } from '@tufjs/models';
import { afterEach, describe, expect, it } from 'vitest';
import { trustRoot, updateTimestamp } from '../../../protocol/trust/tuf.ts';
import { Client } from './client.ts';
import { type Kind, kinds, type Signer, Simulator, setVersion, signed, signer, twinOf } from './simulator.ts';

/** What is decided by looking at keys is decided in the same way for every kind that signatures are verified with. */
let client: Client;
let repository: Simulator;

afterEach(() => client.end());

async function open(made: Simulator): Promise<void> {
  repository = made;
  client = new Client(made);
  expect(await client.init()).toBe(0);
}

const everyRole = (kind: Kind) => ({ root: kind, timestamp: kind, snapshot: kind, targets: kind });
const far = 1_000_000;

function nextRoot(others: readonly Signer[] = []): void {
  setVersion(repository.root, repository.root.version + 1);
  repository.publishRoot(others);
}

/** Names `others` beside the keys of a role, and says how many of them are needed. */
function share(
  made: Simulator,
  role: 'root' | 'timestamp' | 'snapshot' | 'targets',
  threshold: number,
  others: Signer[],
): void {
  for (const { key } of others) made.root.addKey(key, role);
  Object.assign(made.root.roles[role] ?? {}, { threshold });
  made.signers[role] = [...made.signersOf(role), ...others];
}

describe.each(kinds)('with %s keys, an attacker who pushed versions far ahead', (kind) => {
  it.each(['timestamp', 'snapshot'] as const)('is overcome by a new %s key', async (role) => {
    await open(new Simulator(everyRole(kind)));
    setVersion(repository.snapshot, far);
    setVersion(repository.timestamp, far);
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'snapshot.json': far + 1, 'timestamp.json': far + 1 });
    repository.replaceKey(role, kind);
    nextRoot();
    setVersion(repository.snapshot, 1);
    setVersion(repository.timestamp, 1);
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'root.json': 2, 'snapshot.json': 2, 'timestamp.json': 2 });
  });

  it('is not overcome by a root that replaces no key', async () => {
    await open(new Simulator(everyRole(kind)));
    setVersion(repository.timestamp, far);
    expect(await client.refresh()).toBe(0);
    // The same key under another id is the same key.
    const [only] = repository.signersOf('timestamp');
    if (only === undefined) throw new RangeError('no key');
    const twin = twinOf(only, 'ee'.repeat(32));
    Object.assign(repository.root.roles.timestamp ?? {}, { keyIDs: [] });
    repository.root.addKey(twin.key, 'timestamp');
    repository.signers.timestamp = [only, twin];
    nextRoot();
    setVersion(repository.timestamp, 2);
    expect(await client.refresh()).toBe(1);
    expect(client.stored()).toMatchObject({ 'root.json': 2, 'timestamp.json': far });
  });

  it('is overcome when one of two keys is taken away, and the other one stays', async () => {
    const made = new Simulator(everyRole(kind));
    share(made, 'timestamp', 1, [signer(kind)]);
    made.roots.length = 0;
    made.publishRoot();
    await open(made);
    setVersion(repository.timestamp, far);
    expect(await client.refresh()).toBe(0);
    const [gone, kept] = repository.signersOf('timestamp');
    if (gone === undefined || kept === undefined) throw new RangeError('two keys');
    Object.assign(repository.root.roles.timestamp ?? {}, { keyIDs: [kept.key.keyID] });
    repository.signers.timestamp = [kept];
    nextRoot();
    setVersion(repository.timestamp, 2);
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'root.json': 2, 'timestamp.json': 2 });
  });

  it('with the key of the targets is overcome by a new one of the targets and of the snapshot', async () => {
    await open(new Simulator(everyRole(kind)));
    setVersion(repository.targets, far);
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'targets.json': far });
    for (const role of ['targets', 'snapshot'] as const) repository.replaceKey(role, kind);
    nextRoot();
    setVersion(repository.targets, 2);
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'targets.json': 2 });
  });

  it('with the key of a delegated role is overcome by a new one of it and of the snapshot', async () => {
    await open(new Simulator(everyRole(kind)));
    const delegate = () => repository.delegate('targets', 'role', ['*'], false, kind);
    delegate();
    repository.addFile('role', 'file', Buffer.from('of the role'));
    const body = repository.delegated.get('role');
    if (body === undefined) throw new RangeError('role');
    setVersion(repository.targets, 2);
    setVersion(body, far);
    repository.update();
    expect(await client.download('file')).toBe(0);
    expect(client.stored()).toMatchObject({ 'role.json': far });
    const { Targets } = await import('@tufjs/models');
    repository.targets = new Targets({ specVersion: '1.0.31', version: 3, expires: repository.targets.expires });
    delete repository.signers.role;
    delegate();
    setVersion(body, 2);
    repository.replaceKey('snapshot', kind);
    nextRoot();
    repository.update();
    expect(await client.download('file')).toBe(0);
    expect(client.stored()).toMatchObject({ 'role.json': 2, 'targets.json': 3 });
  });
});

describe.each(kinds)('with %s keys, a threshold', (kind) => {
  it('of two is met by two keys, and not by one', async () => {
    const made = new Simulator(everyRole(kind));
    share(made, 'root', 2, [signer(kind)]);
    made.roots.length = 0;
    made.publishRoot();
    await open(made);
    const both = repository.signersOf('root');
    repository.signers.root = both.slice(0, 1);
    nextRoot();
    expect(await client.refresh()).toBe(1);
    expect(client.stored()).toEqual({ 'root.json': 1 });
    repository.signers.root = both;
    repository.roots.pop();
    repository.publishRoot();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'root.json': 2 });
  });
});

/** One key written in another way; null where a kind has only one way. */
const otherWords: Readonly<Record<string, (kind: Kind, key: Key) => Partial<Key> | null>> = {
  'another id': () => ({}),
  'a line of its own at the end': (kind, { keyVal }) =>
    kind === 'ed25519' ? null : { keyVal: { public: `${keyVal.public}\n` } },
  'the other name of its type': (kind) => {
    if (kind === 'ecdsa') return { keyType: 'ecdsa-sha2-nistp256' };
    return kind.startsWith('ecdsa') ? { keyType: 'ecdsa' } : null;
  },
  'the hex form of its point': (kind, { keyVal }) => {
    if (!kind.startsWith('ecdsa')) return null;
    const { x = '', y = '' } = createPublicKey(keyVal.public ?? '').export({ format: 'jwk' });
    const hex = [x, y].map((half) => Buffer.from(half, 'base64url').toString('hex')).join('');
    return { keyVal: { public: `04${hex}` } };
  },
};
const spellings = kinds.flatMap((kind) => Object.keys(otherWords).map((what) => [kind, what] as const));

describe('a key that a role names twice', () => {
  it.each(spellings)('of %s, by %s, is counted once, and verifies by either name', (kind, what) => {
    const made = new Simulator({ timestamp: kind });
    const [only] = made.signersOf('timestamp');
    if (only === undefined) throw new RangeError('no key');
    const changes = otherWords[what]?.(kind, only.key) ?? null;
    if (changes === null) return expect(kind).toMatch(/^(ed25519|rsa)$/);
    const twin = twinOf(only, 'ff'.repeat(32), changes);
    const accepts = (threshold: number, signers: readonly Signer[]) => {
      Object.assign(made.root.roles.timestamp ?? {}, { threshold });
      const trusted = trustRoot(signed(made.root, made.signersOf('root')));
      const { timestamp } = updateTimestamp(trusted, signed(made.timestamp, signers), null);
      return timestamp?.version;
    };
    made.root.addKey(twin.key, 'timestamp');
    expect(() => accepts(2, [only, twin])).toThrow('signed by 1 of 2');
    expect([accepts(1, [only]), accepts(1, [twin])]).toEqual([1, 1]);
  });
});
