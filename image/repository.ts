import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../protocol/digest.ts';
import { manifestTargetName } from '../protocol/manifest.ts';
import type { Sources } from '../protocol/sources.ts';
import type { Trusted } from '../protocol/trust/tuf.ts';
import { ed25519Keys } from '../protocol/trust/tuf-metadata.ts';
import { makeRoot, makeTargets } from '../protocol/trust/tuf-sign.ts';
import { holdfastFields, type TargetFile, targetPath } from '../protocol/trust/tuf-targets.ts';
import { openChange } from './ceremony/change.ts';
import { readTargets as readListed } from './ceremony/read-metadata.ts';
import { nextTargets } from './ceremony/rotation.ts';
import { signHere } from './ceremony/sign-here.ts';
import { replaceFile } from './durable.ts';
import { ImageError } from './errors.ts';
import { takeBackInit } from './keys/init-keys.ts';
import type { HeldKey } from './keys/key-file.ts';
import { type firstKeyNames, makeFirstKeys, openWanted, readKeyRing } from './keys/key-ring.ts';
import { noPassphrase, type PassphraseSource } from './keys/passphrase.ts';
import { withLock } from './lock.ts';
import type { ServerKeys } from './repository-keys.ts';
import {
  expiryOf,
  listedIn,
  type OfflineMetadata,
  readRoots,
  readSigned,
  readTargets,
  rootPath,
  type SignedRepository,
  targetsPath,
  walkMetadata,
  withRepositoryLock,
} from './repository-metadata.ts';
import { signedSources } from './signed-sources.ts';
import { repositoryTexts } from './texts.ts';

/**
 * The offline part of the TUF repository, in the operator's directory: `keys/`, `metadata/`, `targets/`, and the
 * compressed chunks of earlier builds in `frames/`. The server adds snapshot and timestamp.
 */
export interface Repository {
  readonly dir: string;
  readonly serverKeys: ServerKeys;
  /** The date of what is signed. */
  readonly now: () => Date;
  /** For keys under a passphrase; absent: nobody can be asked. */
  readonly passphrases?: PassphraseSource;
}

/**
 * Opens an existing repository. It makes neither keys nor metadata: a mistyped directory must not become a trust root
 * of its own.
 * @throws ImageError `repository-empty`, `repository-damaged`, `server-keys-changed`
 */
export async function openRepository(repository: Repository): Promise<Repository> {
  await requireRepository(repository);
  return repository;
}

/**
 * Begins a repository, which only `keys init` does: the first keys, a root signed by two of them, empty targets.
 * @param passphrase null: only the mode of their files protects the keys
 * @throws ImageError `keys-exist`
 */
export async function beginRepository(repository: Repository, passphrase: string | null): Promise<Repository> {
  const { dir } = repository;
  for (const name of ['metadata', 'targets']) await mkdir(join(dir, name), { recursive: true });
  await withLock(dir, async () => {
    await requireNoKeys(dir);
    try {
      await makeAll(repository, passphrase);
    } catch (error) {
      await takeBackInit(dir);
      throw error;
    }
  });
  return repository;
}

async function makeAll(repository: Repository, passphrase: string | null): Promise<void> {
  const { dir } = repository;
  await makeFirstKeys(dir, passphrase);
  const passphrases = passphrase === null ? noPassphrase : () => Promise.resolve(passphrase);
  await begin({ ...repository, passphrases });
  // Last: a repository with targets counts as begun.
  const targets = await firstTargets({ ...repository, passphrases }, await readRoots(dir));
  await replaceFile(targetsPath(dir), targets);
}

/** @throws ImageError `keys-exist`: an existing repository is never begun again */
export async function requireNoKeys(dir: string): Promise<void> {
  const [held] = await readKeyRing(dir);
  const hasRoot = (await readRoots(dir)).length > 0;
  const found = held?.path ?? (hasRoot ? rootPath(dir, 1) : undefined);
  if (found === undefined) return;
  if (hasRoot && (await readTargets(dir)) !== null) {
    throw new ImageError('keys-exist', repositoryTexts.began(found), repositoryTexts.beganNext);
  }
  throw new ImageError('keys-exist', repositoryTexts.notWhole(found), repositoryTexts.notWholeNext);
}

/** Checks whether a repository is one of this server's, and makes nothing. @throws ImageError */
export async function requireRepository({ dir, serverKeys }: Pick<Repository, 'dir' | 'serverKeys'>) {
  const signed = await readSigned(dir);
  requireServerKeys(dir, serverKeys, signed.trusted);
  return signed;
}

/**
 * Releases a manifest: lists it in new targets with a higher version. The same manifest again changes nothing.
 * @throws ImageError `release-exists` if the version was released with other content; `signatures-missing` if the
 * targets key is not here: then a file holds what must be signed
 */
export function addRelease(
  repository: Repository,
  release: { readonly component: string; readonly version: string; readonly manifest: Buffer },
): Promise<OfflineMetadata> {
  const name = manifestTargetName(release.component, release.version);
  const target: TargetFile = { name, length: release.manifest.length, sha256: sha256(release.manifest) };
  return locked(repository, async (state) => {
    const targets = listedIn(state.trusted);
    const known = targets.find((other) => other.name === name);
    if (known !== undefined && known.sha256 !== target.sha256) {
      throw new ImageError(
        'release-exists',
        repositoryTexts.releasedBefore(release.component, release.version),
        repositoryTexts.releasedBeforeNext,
      );
    }
    // The file first: metadata never names a missing one.
    await replaceFile(join(repository.dir, 'targets', targetPath(target)), release.manifest);
    if (known === undefined) return publish(repository, state, [...targets, target]);
    return { roots: state.roots, targets: state.targets };
  });
}

/**
 * Takes a release off the targets: no appliance that sees them installs it any more. Appliances that run it continue.
 * @throws ImageError `release-unknown`; `signatures-missing` as {@link addRelease}
 */
export function revokeRelease(repository: Repository, component: string, version: string): Promise<OfflineMetadata> {
  return locked(repository, async (state) =>
    publish(repository, state, withoutRelease(state.trusted, component, version)),
  );
}

/**
 * Names where appliances may get releases from, besides the server; what a technician set stays until the number is
 * higher.
 * @param next the sources to name, given those that are named now
 * @throws ImageError `signatures-missing` as {@link addRelease}
 */
export function changeSources(
  repository: Repository,
  next: (known: Sources | null) => Promise<Sources>,
): Promise<OfflineMetadata> {
  return locked(repository, async (state) =>
    publish(repository, state, listedIn(state.trusted), await next(signedSources(state))),
  );
}

/** The targets' list without a release. @throws ImageError `release-unknown` */
export function withoutRelease(trusted: Trusted, component: string, version: string): TargetFile[] {
  const name = manifestTargetName(component, version);
  const targets = listedIn(trusted);
  const rest = targets.filter((target) => target.name !== name);
  if (rest.length < targets.length) return rest;
  throw new ImageError(
    'release-unknown',
    repositoryTexts.notReleased(component, version),
    repositoryTexts.notReleasedNext,
  );
}

/** The releases that the targets list now. */
export function listReleases(repository: Repository): Promise<readonly TargetFile[]> {
  return locked(repository, async (state) => listedIn(state.trusted));
}

interface State extends SignedRepository {
  readonly ring: readonly HeldKey[];
}

function locked<Result>(repository: Repository, work: (state: State) => Promise<Result>): Promise<Result> {
  const { dir } = repository;
  return withRepositoryLock(dir, async () =>
    work({ ...(await requireRepository(repository)), ring: await readKeyRing(dir) }),
  );
}

/** A root names the server's keys; another server's key file must be noticed. */
function requireServerKeys(dir: string, serverKeys: ServerKeys, trusted: Trusted): void {
  const root = trusted.root.metadata.signed;
  const { next } = serverKeys;
  const named = (role: 'snapshot' | 'timestamp') => [...ed25519Keys(root, role).keys()];
  const isOneOf = (keys: readonly string[], ...ours: readonly (string | undefined)[]) =>
    ours.some((key) => key !== undefined && keys.includes(key));
  const same =
    isOneOf(named('snapshot'), serverKeys.snapshot, next?.snapshot) &&
    isOneOf(named('timestamp'), serverKeys.timestamp, next?.timestamp) &&
    isOneOf(holdfastFields(trusted).answerKeys, serverKeys.answer, next?.answer);
  if (same) return;
  throw new ImageError('server-keys-changed', repositoryTexts.otherServer(dir), repositoryTexts.otherServerNext);
}

/** The root that names the first keys. */
async function begin({ dir, serverKeys, now, passphrases }: Repository): Promise<void> {
  const ring = await readKeyRing(dir);
  const root = ring.filter(({ name }) => name.startsWith('root-')).map(publicOf);
  const roles = {
    root: { keys: root, threshold: 2 },
    targets: { keys: [publicOf(named(ring, 'targets'))], threshold: 1 },
    snapshot: { keys: [serverKeys.snapshot], threshold: 1 },
    timestamp: { keys: [serverKeys.timestamp], threshold: 1 },
  };
  const signers = await openWanted(ring, root, 2, passphrases ?? noPassphrase);
  await replaceFile(rootPath(dir, 1), makeRoot({ version: 1, expires: expiryOf('root', now()), roles }, signers));
}

async function firstTargets(repository: Repository, roots: readonly Buffer[]): Promise<Buffer> {
  const { dir, serverKeys, now, passphrases } = repository;
  const { root } = walkMetadata(dir, roots, null);
  const ring = await readKeyRing(dir);
  const wanted = [...ed25519Keys(root.metadata.signed, 'targets').keys()];
  return makeTargets(
    {
      version: 1,
      expires: expiryOf('targets', now()),
      issuedAt: Math.floor(now().getTime() / 1000),
      targets: [],
      holdfast: { answerKeys: [serverKeys.answer], operatorKeys: [publicOf(named(ring, 'operator'))] },
    },
    await openWanted(ring, wanted, wanted.length, passphrases ?? noPassphrase),
  );
}

function named(ring: readonly HeldKey[], name: (typeof firstKeyNames)[number]): HeldKey {
  const held = ring.find((key) => key.name === name);
  if (held !== undefined) return held;
  throw new ImageError('key-missing', repositoryTexts.noKey(name), repositoryTexts.noKeyNext);
}

function publicOf({ path, publicKey }: HeldKey): string {
  if (publicKey !== null) return publicKey;
  throw new ImageError('key-unreadable', repositoryTexts.noPublicPart(path), repositoryTexts.noKeyNext);
}

/** Signs targets that list these releases and keep everything else of the present ones. */
async function publish(
  repository: Repository,
  state: State,
  targets: readonly TargetFile[],
  sources = signedSources(state),
): Promise<OfflineMetadata> {
  const { dir, now, passphrases } = repository;
  const listed = readListed(state.targets, state.trusted.root.bytes);
  const holdfast = sources === null ? listed.holdfast : { ...listed.holdfast, sources };
  const change = openChange({
    root: state.trusted.root.bytes,
    targets: state.targets,
    nextRoot: null,
    nextTargets: nextTargets({ ...listed, holdfast, targets }, now()),
  });
  const signed = await signHere(dir, change, state.ring, passphrases ?? noPassphrase);
  await replaceFile(targetsPath(dir), signed);
  return { roots: state.roots, targets: signed };
}
