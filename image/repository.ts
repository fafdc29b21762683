import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../protocol/digest.ts';
import { manifestTargetName } from '../protocol/manifest.ts';
import { loadTrusted, type Trusted, trustRoot, updateRoot } from '../protocol/trust/tuf.ts';
import { metadataLimits, roleKeys } from '../protocol/trust/tuf-metadata.ts';
import { makeRoot, makeTargets } from '../protocol/trust/tuf-sign.ts';
import { findTarget, holdfastFields, type TargetFile, targetPath } from '../protocol/trust/tuf-targets.ts';
import { isMissing, replaceFile } from './durable.ts';
import { ImageError } from './errors.ts';
import { withLock } from './lock.ts';
import { type OfflineKeys, openOfflineKeys, type ServerKeys } from './repository-keys.ts';

/** Offline keys are used by hand, seldom; a release a year keeps targets fresh. */
const lifetimeYears = { root: 10, targets: 1 } as const;

/** What a bundle carries: every root from the first on, and the targets that list its release. */
export interface OfflineMetadata {
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/**
 * The offline part of the TUF repository, in the operator's directory: `keys/`, `metadata/`, `targets/`, and the
 * compressed chunks of earlier builds in `frames/`. The server adds snapshot and timestamp.
 */
export interface Repository {
  readonly dir: string;
  readonly serverKeys: ServerKeys;
  /** Dates what is signed. */
  readonly now: () => Date;
}

/** Makes what is missing: keys, the first root, empty targets. */
export async function openRepository(repository: Repository): Promise<Repository> {
  await mkdir(join(repository.dir, 'metadata'), { recursive: true });
  await mkdir(join(repository.dir, 'targets'), { recursive: true });
  await locked(repository, async () => undefined);
  return repository;
}

/**
 * Releases a manifest: lists it in the targets, with a higher version of theirs. The same manifest again changes nothing.
 * @throws ImageError `release-exists` when the version was released with another content
 */
export function addRelease(
  repository: Repository,
  release: { readonly component: string; readonly version: string; readonly manifest: Buffer },
): Promise<OfflineMetadata> {
  const name = manifestTargetName(release.component, release.version);
  const target: TargetFile = { name, length: release.manifest.length, sha256: sha256(release.manifest) };
  return locked(repository, async (state) => {
    const targets = listOf(state.trusted);
    const known = targets.find((other) => other.name === name);
    if (known !== undefined && known.sha256 !== target.sha256) {
      throw new ImageError(
        'release-exists',
        `${release.component} ${release.version} was released before, with another content`,
        'give this build a higher version, or revoke the old one',
      );
    }
    // The file first: metadata never names one that is not there.
    await replaceFile(join(repository.dir, 'targets', targetPath(target)), release.manifest);
    return known === undefined ? publish(repository, state, [...targets, target]) : state.metadata;
  });
}

/**
 * Takes a release off the targets: no appliance that sees them installs it any more. What runs it goes on.
 * @throws ImageError `release-unknown`
 */
export function revokeRelease(repository: Repository, component: string, version: string): Promise<OfflineMetadata> {
  const name = manifestTargetName(component, version);
  return locked(repository, async (state) => {
    const targets = listOf(state.trusted);
    const rest = targets.filter((target) => target.name !== name);
    if (rest.length === targets.length) {
      throw new ImageError('release-unknown', `${component} ${version} is not released`, 'see what `list` names');
    }
    return publish(repository, state, rest);
  });
}

/** The releases that the targets list now. */
export function listReleases(repository: Repository): Promise<readonly TargetFile[]> {
  return locked(repository, async (state) => listOf(state.trusted));
}

interface State {
  readonly keys: OfflineKeys;
  readonly trusted: Trusted;
  readonly metadata: OfflineMetadata;
}

function locked<Result>(repository: Repository, work: (state: State) => Promise<Result>): Promise<Result> {
  return withLock(repository.dir, async () => {
    const keys = await openOfflineKeys(repository.dir);
    const roots = await readRoots(repository.dir);
    if (roots.length === 0) {
      const first = firstRoot(repository, keys);
      await replaceFile(join(repository.dir, 'metadata', '1.root.json'), first);
      roots.push(first);
    }
    const targets = await readIfThere(join(repository.dir, 'metadata', 'targets.json'));
    const state = load(repository, keys, roots, targets);
    requireServerKeys(repository, state.trusted);
    if (targets !== null) return work(state);
    const metadata = await publish(repository, state, []);
    return work(load(repository, keys, roots, metadata.targets));
  });
}

function load(repository: Repository, keys: OfflineKeys, roots: readonly Buffer[], targets: Buffer | null): State {
  try {
    const last = roots.slice(1).reduce(updateRoot, trustRoot(roots[0] ?? Buffer.alloc(0))).root;
    const trusted = loadTrusted({ root: last.bytes, timestamp: null, snapshot: null, targets });
    if (targets !== null && trusted.targets === null) throw new Error('the root does not vouch for targets.json');
    return { keys, trusted, metadata: { roots, targets: targets ?? Buffer.alloc(0) } };
  } catch (cause) {
    throw new ImageError(
      'repository-damaged',
      `the metadata in ${repository.dir} is not what its keys signed`,
      'bring keys/ and metadata/ back from a backup; appliances that saw newer metadata refuse older',
      { cause },
    );
  }
}

/** A root names the server's keys for good; another server's key file must not slip in unnoticed. */
function requireServerKeys(repository: Repository, trusted: Trusted): void {
  const { serverKeys } = repository;
  const root = trusted.root.metadata.signed;
  const same =
    roleKeys(root, 'snapshot').has(serverKeys.snapshot) &&
    roleKeys(root, 'timestamp').has(serverKeys.timestamp) &&
    (trusted.targets === null || holdfastFields(trusted).answerKeys.includes(serverKeys.answer));
  if (same) return;
  throw new ImageError(
    'server-keys-changed',
    `the repository ${repository.dir} was made for a server with other keys`,
    "give that server's public-keys.json, or begin a repository for this one in an empty directory",
  );
}

function firstRoot({ serverKeys, now }: Repository, keys: OfflineKeys): Buffer {
  const roles = {
    root: { keys: keys.root.map((key) => key.publicKey), threshold: 2 },
    targets: { keys: [keys.targets.publicKey], threshold: 1 },
    snapshot: { keys: [serverKeys.snapshot], threshold: 1 },
    timestamp: { keys: [serverKeys.timestamp], threshold: 1 },
  };
  return makeRoot({ version: 1, expires: yearsAfter(now(), lifetimeYears.root), roles }, [keys.root[0], keys.root[1]]);
}

async function publish(
  repository: Repository,
  { keys, trusted, metadata }: State,
  targets: readonly TargetFile[],
): Promise<OfflineMetadata> {
  const now = repository.now();
  const bytes = makeTargets(
    {
      version: (trusted.targets?.version ?? 0) + 1,
      expires: yearsAfter(now, lifetimeYears.targets),
      issuedAt: Math.floor(now.getTime() / 1000),
      targets: [...targets].sort((a, b) => (a.name < b.name ? -1 : 1)),
      holdfast: { answerKeys: [repository.serverKeys.answer], operatorKeys: [keys.operator.publicKey] },
    },
    [keys.targets],
  );
  await replaceFile(join(repository.dir, 'metadata', 'targets.json'), bytes);
  return { roots: metadata.roots, targets: bytes };
}

function listOf(trusted: Trusted): TargetFile[] {
  return Object.keys(trusted.targets?.metadata.signed.targets ?? {}).map((name) => findTarget(trusted, name));
}

function yearsAfter(date: Date, years: number): Date {
  const later = new Date(date);
  later.setUTCFullYear(later.getUTCFullYear() + years);
  return later;
}

async function readRoots(dir: string): Promise<Buffer[]> {
  const roots: Buffer[] = [];
  for (let version = 1; version <= metadataLimits.rootsPerWalkMax; version += 1) {
    const bytes = await readIfThere(join(dir, 'metadata', `${version}.root.json`));
    if (bytes === null) break;
    roots.push(bytes);
  }
  return roots;
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
