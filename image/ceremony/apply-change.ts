import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, updateRoot } from '../../protocol/trust/tuf.ts';
import { replaceFile } from '../durable.ts';
import { ImageError } from '../errors.ts';
import {
  type OfflineMetadata,
  readRoots,
  readTargets,
  rootPath,
  targetsPath,
  walkMetadata,
  withRepositoryLock,
} from '../repository-metadata.ts';
import { ceremonyTexts } from '../texts.ts';
import { isReached, type OpenedChange, quorumsOf } from './change.ts';
import { describeSignatures } from './describe-change.ts';

export interface Applied {
  readonly outcome: 'applied' | 'unchanged';
  readonly metadata: OfflineMetadata;
}

/**
 * Puts a change that enough keys have signed in place, the root before the targets. After an interruption between the
 * two it is repeated; if the change is in place already, nothing changes.
 * @throws ImageError `signatures-missing`, `change-outdated`
 */
export function applyChange(dir: string, change: OpenedChange): Promise<Applied> {
  return withRepositoryLock(dir, async () => {
    const plan = await planApplication(dir, change);
    if (plan.newRoot !== null) await replaceFile(rootPath(dir, change.after.root.version), plan.newRoot);
    if (plan.newTargets !== null) await replaceFile(targetsPath(dir), plan.newTargets);
    return plan;
  });
}

interface Application extends Applied {
  /** null: it is in place already. */
  readonly newRoot: Buffer | null;
  readonly newTargets: Buffer | null;
}

/** What {@link applyChange} would write; writes nothing. */
export async function planApplication(dir: string, change: OpenedChange): Promise<Application> {
  if (!quorumsOf(change).every(isReached)) {
    throw new ImageError(
      'signatures-missing',
      ceremonyTexts.notEnoughSigned(describeSignatures(change).join('\n  ')),
      ceremonyTexts.notEnoughSignedNext,
    );
  }
  const roots = await readRoots(dir);
  const targets = await readTargets(dir);
  const newRoot = missing(roots.at(-1) ?? null, change.root, change.nextRoot, 'root');
  const newTargets = missing(targets, change.targets, change.nextTargets, 'targets');
  const metadata: OfflineMetadata = {
    roots: newRoot === null ? roots : [...roots, newRoot],
    targets: newTargets ?? targets ?? change.targets,
  };
  requireWalk(dir, change, metadata);
  const outcome = newRoot === null && newTargets === null ? 'unchanged' : 'applied';
  return { outcome, metadata, newRoot, newTargets };
}

/** @returns what must be written; null if it is there already, or this part stays as it is */
function missing(here: Buffer | null, before: Buffer, next: Buffer | null, what: string): Buffer | null {
  if (next !== null && here?.equals(next)) return null;
  if (here?.equals(before)) return next;
  throw new ImageError('change-outdated', ceremonyTexts.notFollowed(what), ceremonyTexts.notFollowedNext);
}

/** Walks the change as an appliance does: what an appliance would refuse is not put in place. */
function requireWalk(dir: string, change: OpenedChange, metadata: OfflineMetadata): void {
  try {
    const before = loadTrusted({ root: change.root, timestamp: null, snapshot: null, targets: null });
    if (change.nextRoot !== null) updateRoot(before, change.nextRoot);
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new ImageError('change-unreadable', ceremonyTexts.notTaken(cause.message), ceremonyTexts.notTakenNext, {
      cause,
    });
  }
  walkMetadata(dir, metadata.roots, metadata.targets);
}
