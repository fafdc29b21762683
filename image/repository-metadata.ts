import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { metadataLimits } from '../protocol/trust/metadata-limits.ts';
import { loadTrusted, type Trusted, trustRoot, updateRoot } from '../protocol/trust/tuf.ts';
import { findTarget, type TargetFile } from '../protocol/trust/tuf-targets.ts';
import { isMissing } from './durable.ts';
import { ImageError } from './errors.ts';
import { withLock } from './lock.ts';
import { repositoryTexts } from './texts.ts';

/** Offline keys are used by hand and seldom; one release a year keeps targets fresh. */
export const lifetimeYears = { root: 10, targets: 1 } as const;

/** What a bundle carries: every root from the first on, and the targets that list its release. */
export interface OfflineMetadata {
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/** The metadata of a repository, and what it makes trusted. */
export interface SignedRepository extends OfflineMetadata {
  readonly trusted: Trusted;
}

export function rootPath(dir: string, version: number): string {
  return join(dir, 'metadata', `${version}.root.json`);
}

export function targetsPath(dir: string): string {
  return join(dir, 'metadata', 'targets.json');
}

/** All roots of the repository, the first one first. */
export async function readRoots(dir: string): Promise<Buffer[]> {
  const roots: Buffer[] = [];
  for (let version = 1; version <= metadataLimits.rootsPerWalkMax; version += 1) {
    const bytes = await readIfThere(rootPath(dir, version));
    if (bytes === null) break;
    roots.push(bytes);
  }
  return roots;
}

export function readTargets(dir: string): Promise<Buffer | null> {
  return readIfThere(targetsPath(dir));
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/**
 * Walks the roots and takes the targets that the last one vouches for.
 * @throws ImageError `repository-damaged`
 */
export function walkMetadata(dir: string, roots: readonly Buffer[], targets: Buffer | null): Trusted {
  try {
    const last = roots.slice(1).reduce(updateRoot, trustRoot(roots[0] ?? Buffer.alloc(0))).root;
    const trusted = loadTrusted({ root: last.bytes, timestamp: null, snapshot: null, targets });
    if (targets !== null && trusted.targets === null) throw new Error(repositoryTexts.targetsNotVouched);
    return trusted;
  } catch (cause) {
    throw new ImageError('repository-damaged', repositoryTexts.otherMetadata(dir), repositoryTexts.otherMetadataNext, {
      cause,
    });
  }
}

/** @throws ImageError `repository-empty`: no repository has begun here */
function requireBegun(dir: string, roots: readonly Buffer[]): void {
  if (roots.length > 0) return;
  throw new ImageError('repository-empty', repositoryTexts.noRepository(dir), repositoryTexts.noRepositoryNext);
}

/**
 * {@link withLock} on an existing repository: the lock is a file, and none must be made in a mistyped directory.
 * @throws ImageError `repository-empty`, `repository-busy`
 */
export async function withRepositoryLock<Result>(dir: string, work: () => Promise<Result>): Promise<Result> {
  requireBegun(dir, await readRoots(dir));
  return withLock(dir, work);
}

/** @throws ImageError `repository-empty`, `repository-damaged` */
export async function readSigned(dir: string): Promise<SignedRepository> {
  const roots = await readRoots(dir);
  const targets = await readTargets(dir);
  requireBegun(dir, roots);
  if (targets === null) {
    throw new ImageError('repository-damaged', repositoryTexts.noTargets(dir), repositoryTexts.noTargetsNext);
  }
  return { roots, targets, trusted: walkMetadata(dir, roots, targets) };
}

/** The releases that trusted targets list, by name. */
export function listedIn(trusted: Trusted): TargetFile[] {
  return Object.keys(trusted.targets?.metadata.signed.targets ?? {}).map((name) => findTarget(trusted, name));
}

/** How long what is signed now is valid. */
export function expiryOf(role: keyof typeof lifetimeYears, now: Date): Date {
  const later = new Date(now);
  later.setUTCFullYear(later.getUTCFullYear() + lifetimeYears[role]);
  return later;
}
