import { Metadata, MetadataKind, Signature } from '@tufjs/models';
import { describe, expect, it } from 'vitest';
import { signBytes } from '../../../protocol/trust/ed25519.ts';
import { metadataLimits } from '../../../protocol/trust/metadata-limits.ts';
import {
  type Trusted,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTargetsFromFile,
  updateTimestamp,
} from '../../../protocol/trust/tuf.ts';
import { makeRoot, makeTargets, makeTimestamp, tufKeyId } from '../../../protocol/trust/tuf-sign.ts';
import {
  generateRepositoryKeys,
  rootInput,
  signedRoot,
  signedState,
  targetFile,
  testExpired,
  testExpires,
  testNow,
} from '../../support/tuf-repository.ts';

const keys = generateRepositoryKeys();
const foreign = generateRepositoryKeys();
const root = trustRoot(signedRoot(keys));
const state = signedState(keys, { version: 5, files: [targetFile('app-1.0.52.manifest.json', Buffer.from('x'))] });
const withTimestamp = updateTimestamp(root, state.timestamp, testNow);
const withSnapshot = updateSnapshot(withTimestamp, state.snapshot, testNow);
const trusted = updateTargets(withSnapshot, state.targets, testNow);

function code(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
    throw error;
  }
  return 'accepted';
}

/** The role's bytes with one field of its JSON changed, signatures left as they were. */
function edited(
  bytes: Buffer,
  change: (json: { signed: Record<string, unknown>; signatures: unknown[] }) => void,
): Buffer {
  const json = JSON.parse(bytes.toString());
  change(json);
  return Buffer.from(JSON.stringify(json));
}

describe('keys', () => {
  it('refuses each role when a foreign key signed it', () => {
    const lie = signedState({ ...foreign, root: keys.root }, { version: 6 });
    expect(code(() => updateRoot(root, signedRoot(foreign, 2)))).toBe('tuf-threshold');
    expect(code(() => updateTimestamp(root, lie.timestamp, testNow))).toBe('tuf-threshold');
    expect(code(() => updateTargetsFromFile(root, lie.targets))).toBe('tuf-threshold');
    const lieBelowTimestamp = signedState({ ...keys, snapshot: foreign.snapshot }, { version: 6 });
    const afterLie = updateTimestamp(trusted, lieBelowTimestamp.timestamp, testNow);
    expect(code(() => updateSnapshot(afterLie, lieBelowTimestamp.snapshot, testNow))).toBe('tuf-threshold');
    const lieBelowSnapshot = signedState({ ...keys, targets: foreign.targets }, { version: 6 });
    const afterSnapshot = updateSnapshot(
      updateTimestamp(trusted, lieBelowSnapshot.timestamp, testNow),
      lieBelowSnapshot.snapshot,
      testNow,
    );
    expect(code(() => updateTargets(afterSnapshot, lieBelowSnapshot.targets, testNow))).toBe('tuf-threshold');
  });

  it('refuses a root with one signature of two', () => {
    expect(code(() => trustRoot(makeRoot(rootInput(keys, 1), [keys.root[0]])))).toBe('tuf-threshold');
    expect(code(() => updateRoot(root, makeRoot(rootInput(keys, 2), [keys.root[2]])))).toBe('tuf-threshold');
  });

  it('counts one key once, however often it signs and however many ids it has', () => {
    const once = makeRoot(rootInput(keys, 1), [keys.root[0]]);
    const twice = edited(once, (json) => json.signatures.push(json.signatures[0]));
    expect(['tuf-malformed', 'tuf-threshold']).toContain(code(() => trustRoot(twice)));

    // A root of a careless operator, which lists one key under two ids, signed with it under both.
    const id = tufKeyId(keys.root[0].publicKey);
    const second = 'f'.repeat(64);
    const careless = JSON.parse(makeRoot(rootInput(keys, 1), []).toString());
    careless.signed.keys[second] = careless.signed.keys[id];
    careless.signed.roles.root.keyids = [id, second];
    const metadata = Metadata.fromJSON(MetadataKind.Root, { ...careless, signatures: [] });
    for (const keyID of [id, second]) {
      metadata.sign(
        (bytes) => new Signature({ keyID, sig: signBytes(bytes, keys.root[0].privateKey).toString('hex') }),
      );
    }
    expect(metadata.signatures[second]).toBeDefined();
    expect(code(() => trustRoot(Buffer.from(JSON.stringify(metadata.toJSON()))))).toBe('tuf-threshold');
  });

  it('refuses a role that carries another type, whoever signed it', () => {
    expect(code(() => updateTimestamp(root, state.snapshot, testNow))).toBe('tuf-malformed');
    expect(code(() => updateSnapshot(withTimestamp, state.timestamp, testNow))).toBe('tuf-mismatch');
    expect(code(() => updateTargetsFromFile(root, state.snapshot))).toBe('tuf-malformed');
    expect(code(() => updateRoot(root, state.targets))).toBe('tuf-malformed');
    const sameKey = { ...keys, timestamp: keys.snapshot };
    const confused = trustRoot(signedRoot(sameKey));
    expect(code(() => updateTimestamp(confused, signedState(sameKey).snapshot, testNow))).toBe('tuf-malformed');
  });
});

describe('rollback, freeze, mix and match', () => {
  it('refuses an older timestamp, and keeps the trusted one when the version is the same', () => {
    expect(code(() => updateTimestamp(trusted, signedState(keys, { version: 4 }).timestamp, testNow))).toBe(
      'tuf-version',
    );
    const twin = signedState(keys, { version: 5 }).timestamp;
    expect(updateTimestamp(trusted, twin, testNow)).toBe(trusted);
  });

  it('refuses a newer timestamp that names an older snapshot', () => {
    const lie = signedState(keys, { version: 6, snapshotVersion: 4 });
    expect(code(() => updateTimestamp(trusted, lie.timestamp, testNow))).toBe('tuf-version');
  });

  it('refuses a newer snapshot that names older targets, or none', () => {
    const lie = signedState(keys, { version: 6, targetsVersion: 4 });
    const after = updateTimestamp(trusted, lie.timestamp, testNow);
    expect(code(() => updateSnapshot(after, lie.snapshot, testNow))).toBe('tuf-version');
  });

  it('refuses what the role above does not name', () => {
    const other = signedState(keys, { version: 6 });
    expect(code(() => updateSnapshot(withTimestamp, other.snapshot, testNow))).toBe('tuf-mismatch');
    expect(code(() => updateTargets(withSnapshot, other.targets, testNow))).toBe('tuf-mismatch');
    const sameVersion = signedState(keys, { version: 5 });
    expect(code(() => updateTargets(withSnapshot, sameVersion.targets, testNow))).toBe('tuf-mismatch');
  });

  it('refuses a role before the one that vouches for it', () => {
    expect(code(() => updateSnapshot(root, state.snapshot, testNow))).toBe('tuf-incomplete');
    expect(code(() => updateTargets(withTimestamp, state.targets, testNow))).toBe('tuf-incomplete');
  });

  it('refuses each expired role when the time is known, and judges no expiry when it is not', () => {
    const oldRoot = trustRoot(signedRoot(keys, 1, testExpired));
    expect(code(() => updateTimestamp(oldRoot, state.timestamp, testNow))).toBe('tuf-expired');
    for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
      const stale = signedState(keys, { version: 6, expires: { [role]: testExpired } });
      expect(
        code(() => walk(root, stale, testNow)),
        role,
      ).toBe('tuf-expired');
      expect(
        code(() => walk(root, stale, null)),
        role,
      ).toBe('accepted');
    }
    const staleTimestamp = signedState(keys, { version: 5, expires: { timestamp: testExpired } });
    const stuck = updateTimestamp(root, staleTimestamp.timestamp, null);
    expect(code(() => updateTimestamp(stuck, staleTimestamp.timestamp, testNow))).toBe('tuf-expired');
  });
});

describe('damage', () => {
  it('refuses a role that is larger than its bound before it parses it', () => {
    const huge = (bytes: number) => Buffer.alloc(bytes + 1, 0x20);
    expect(code(() => trustRoot(huge(metadataLimits.rootBytesMax)))).toBe('tuf-too-large');
    expect(code(() => updateTimestamp(root, huge(metadataLimits.timestampBytesMax), null))).toBe('tuf-too-large');
    expect(code(() => updateTargetsFromFile(root, huge(metadataLimits.targetsBytesMax)))).toBe('tuf-too-large');
  });

  it('refuses more entries than it would count', () => {
    const files = Array.from({ length: metadataLimits.targetsMax + 1 }, (_, i) => targetFile(`t${i}`, Buffer.alloc(0)));
    const holdfast = { answerKeys: [keys.answer.publicKey], operatorKeys: [] };
    const many = makeTargets(
      { version: 1, expires: testExpires, issuedAt: 0, targets: files.slice(0, 10), holdfast },
      [],
    );
    const stuffed = edited(many, (json) => {
      json.signed.targets = Object.fromEntries(files.map(({ name }) => [name, {}]));
    });
    expect(code(() => updateTargetsFromFile(root, stuffed))).toBe('tuf-malformed');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['HTML', Buffer.from('<html>')],
    ['null', Buffer.from('null')],
    ['a list', Buffer.from('[]')],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x7b])],
    ['an abyss of brackets', Buffer.from('['.repeat(60_000))],
    ['an abyss of objects', Buffer.from(`{"signatures":[],"signed":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_001)}`)],
  ])('refuses %s as a root', (_name, bytes) => {
    expect(code(() => trustRoot(bytes))).toBe('tuf-malformed');
  });

  it('refuses a version that is no whole positive number, and a date outside the specification', () => {
    for (const version of [0, -1, 1.5, '1', null, 1e300]) {
      expect(code(() => trustRoot(edited(signedRoot(keys), (json) => Object.assign(json.signed, { version }))))).toBe(
        'tuf-malformed',
      );
    }
    const expires = '2036-01-01';
    expect(code(() => trustRoot(edited(signedRoot(keys), (json) => Object.assign(json.signed, { expires }))))).toBe(
      'tuf-malformed',
    );
  });

  it('refuses a nested field that would exhaust the stack', () => {
    const deep = Buffer.from(
      signedRoot(keys)
        .toString()
        .replace('"consistent_snapshot"', `"deep":${'['.repeat(20_000)}${']'.repeat(20_000)},"consistent_snapshot"`),
    );
    expect(['tuf-malformed', 'tuf-threshold']).toContain(code(() => trustRoot(deep)));
  });

  // Two different bits of every byte: the one that changes the case of a letter, and one that moves with the position.
  it.each([
    ['root', signedRoot(keys), (bytes: Buffer) => trustRoot(bytes)],
    ['timestamp', state.timestamp, (bytes: Buffer) => updateTimestamp(root, bytes, testNow)],
    ['snapshot', state.snapshot, (bytes: Buffer) => updateSnapshot(withTimestamp, bytes, testNow)],
    ['targets', state.targets, (bytes: Buffer) => updateTargets(withSnapshot, bytes, testNow)],
    ['targets from a file', state.targets, (bytes: Buffer) => updateTargetsFromFile(root, bytes)],
  ] as const)('refuses one flipped bit anywhere in %s', (_name, bytes, accept) => {
    expect(code(() => accept(bytes))).toBe('accepted');
    const accepted: number[] = [];
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [0x20, 1 << (at % 8)]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ bit;
        if (code(() => accept(flipped)) === 'accepted') accepted.push(at);
      }
    }
    expect(accepted).toEqual([]);
  });

  it('refuses every truncation of a timestamp', () => {
    for (let length = 0; length < state.timestamp.length; length += 1) {
      expect(code(() => updateTimestamp(root, state.timestamp.subarray(0, length), null))).toBe('tuf-malformed');
    }
  });

  it('refuses a timestamp whose numbers are written in a way that hides a change', () => {
    const timestamp = makeTimestamp(
      { version: 6, expires: testExpires, issuedAt: 1, snapshot: { version: 6, bytes: state.snapshot } },
      [keys.timestamp],
    );
    const bytes = edited(timestamp, (json) => Object.assign(json.signed, { version: 7 }));
    expect(code(() => updateTimestamp(root, bytes, testNow))).toBe('tuf-threshold');
  });
});

function walk(start: Trusted, bytes: typeof state, now: Date | null): Trusted {
  const timestamp = updateTimestamp(start, bytes.timestamp, now);
  return updateTargets(updateSnapshot(timestamp, bytes.snapshot, now), bytes.targets, now);
}
