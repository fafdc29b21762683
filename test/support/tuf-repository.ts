import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sha256 } from '../../protocol/digest.ts';
import { generateKeyPair, type KeyPair } from '../../protocol/trust/ed25519.ts';
import { makeRoot, makeSnapshot, makeTargets, makeTimestamp, type RootInput } from '../../protocol/trust/tuf-sign.ts';
import type { TargetFile } from '../../protocol/trust/tuf-targets.ts';

/** All keys of one TUF repository under test. */
export interface RepositoryKeys {
  readonly root: readonly [KeyPair, KeyPair, KeyPair];
  readonly targets: KeyPair;
  readonly snapshot: KeyPair;
  readonly timestamp: KeyPair;
  readonly answer: KeyPair;
  readonly operator: KeyPair;
}

export function generateRepositoryKeys(): RepositoryKeys {
  return {
    root: [generateKeyPair(), generateKeyPair(), generateKeyPair()],
    targets: generateKeyPair(),
    snapshot: generateKeyPair(),
    timestamp: generateKeyPair(),
    answer: generateKeyPair(),
    operator: generateKeyPair(),
  };
}

/** Between the issue and the expiry of everything below. */
export const testNow = new Date('2026-06-01T00:00:00Z');
export const testIssuedAt = Date.parse('2026-05-31T00:00:00Z') / 1000;
export const testExpires = new Date('2036-01-01T00:00:00Z');
export const testExpired = new Date('2026-05-31T12:00:00Z');

export function rootInput(keys: RepositoryKeys, version: number, expires = testExpires): RootInput {
  return {
    version,
    expires,
    roles: {
      root: { keys: keys.root.map((key) => key.publicKey), threshold: 2 },
      targets: { keys: [keys.targets.publicKey], threshold: 1 },
      snapshot: { keys: [keys.snapshot.publicKey], threshold: 1 },
      timestamp: { keys: [keys.timestamp.publicKey], threshold: 1 },
    },
  };
}

export function signedRoot(keys: RepositoryKeys, version = 1, expires = testExpires): Buffer {
  return makeRoot(rootInput(keys, version, expires), [keys.root[0], keys.root[1]]);
}

export function targetFile(name: string, bytes: Uint8Array): TargetFile {
  return { name, length: bytes.length, sha256: sha256(bytes) };
}

/** The three roles below root, consistent with each other. */
export interface RepositoryState {
  readonly targets: Buffer;
  readonly snapshot: Buffer;
  readonly timestamp: Buffer;
}

export interface StateOptions {
  readonly version?: number;
  readonly targetsVersion?: number;
  readonly snapshotVersion?: number;
  readonly files?: readonly TargetFile[];
  readonly expires?: Partial<Record<'targets' | 'snapshot' | 'timestamp', Date>>;
}

export function signedState(keys: RepositoryKeys, options: StateOptions = {}): RepositoryState {
  const version = options.version ?? 1;
  const targetsVersion = options.targetsVersion ?? version;
  const snapshotVersion = options.snapshotVersion ?? version;
  const expires = { targets: testExpires, snapshot: testExpires, timestamp: testExpires, ...options.expires };
  const holdfast = { answerKeys: [keys.answer.publicKey], operatorKeys: [keys.operator.publicKey] };
  const targets = makeTargets(
    {
      version: targetsVersion,
      expires: expires.targets,
      issuedAt: testIssuedAt,
      targets: options.files ?? [],
      holdfast,
    },
    [keys.targets],
  );
  const snapshot = makeSnapshot(
    { version: snapshotVersion, expires: expires.snapshot, targets: { version: targetsVersion, bytes: targets } },
    [keys.snapshot],
  );
  const timestamp = makeTimestamp(
    {
      version,
      expires: expires.timestamp,
      issuedAt: testIssuedAt + version,
      snapshot: { version: snapshotVersion, bytes: snapshot },
    },
    [keys.timestamp],
  );
  return { targets, snapshot, timestamp };
}

export interface FileServer extends AsyncDisposable {
  readonly url: string;
}

/** Serves the given paths over HTTP on loopback; anything else is 404. */
export async function serveFiles(files: ReadonlyMap<string, Uint8Array>): Promise<FileServer> {
  const server = createServer((request, response) => {
    const body = files.get(request.url ?? '');
    response.statusCode = body === undefined ? 404 : 200;
    response.end(body ?? 'not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error ? reject(error) : resolve()));
      }),
  };
}
