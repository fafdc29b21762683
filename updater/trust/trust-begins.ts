import { z } from 'zod';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { trustTexts } from '../words/texts.ts';
import { readRootFile, type TrustPlace } from './trust-files.ts';

/**
 * A second copy, outside updater/trust, of what the trust begins with: the root that the claim pinned, and each one
 * that followed it here. If trust/ no longer has a root, the trust begins anew from this copy, once its first root
 * proves to be the one that the identity names; every other root is signed by its predecessor.
 */

export interface TrustBeginning extends TrustPlace {
  /**
   * The digest of the root that the claim pinned; null: the identity is lost too, and then the copy is as good as
   * trust/ was: only root writes it.
   */
  readonly pinned: Digest | null;
}

export interface SettledTrust {
  /** There was no readable root, and the copy has taken its place. */
  readonly isBegunAnew: boolean;
  /** What a person has to do; null: nothing. */
  readonly notice: string | null;
}

export const lostTrustText = trustTexts.trustLost;

export const begunAnewText = trustTexts.trustAnew;

const bytesMax = 4 * 1024 * 1024;
/** For the roots as bytes: base64 takes a third more. */
const rootsBytesMax = 2 * 1024 * 1024;
const mode = 0o600;
const shape = z.object({ v: z.literal(1), roots: z.array(z.base64()).min(1) });

/** The copied roots, oldest first; empty when there are none, or the copy was damaged. */
export function copiedRoots({ files, layout }: TrustPlace): readonly Buffer[] {
  const copy = readKept(files, layout.trustBegins, bytesMax, shape);
  return copy === null ? [] : copy.roots.map((root) => Buffer.from(root, 'base64'));
}

/**
 * Makes the copy, or begins the trust anew from it, if one of the two is missing. The code that verifies roots is
 * loaded only then.
 */
export async function settleTrust(place: TrustBeginning): Promise<SettledTrust> {
  const copied = copiedRoots(place);
  if (isSettled(place, copied)) return { isBegunAnew: false, notice: null };
  const { beginAnew, hasRoot, rootsFrom } = await import('./trust-store.ts');
  if (hasRoot(place)) {
    keepRoots(place, copied, rootsFrom(place, place.pinned, copied));
    return { isBegunAnew: false, notice: null };
  }
  const first = copied[0];
  const isPinned = first !== undefined && (place.pinned === null || sha256(first) === place.pinned);
  try {
    if (!isPinned || !beginAnew(place, copied)) return { isBegunAnew: false, notice: lostTrustText };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const notice = trustTexts.trustNotAnew(error.message);
    return { isBegunAnew: false, notice };
  }
  return { isBegunAnew: true, notice: null };
}

/** Two files with the same bytes are not damaged. */
function isSettled(place: TrustBeginning, copied: readonly Buffer[]): boolean {
  const [first, newest] = [copied[0], copied.at(-1)];
  if (first === undefined || newest === undefined) return false;
  if (place.pinned !== null && sha256(first) !== place.pinned) return false;
  return readRootFile(place, 'root.json')?.equals(newest) === true;
}

/** A disk that takes no copy keeps what it has, and the run continues. */
function keepRoots({ files, layout }: TrustPlace, before: readonly Buffer[], roots: readonly Buffer[]): void {
  // Of very many, the oldest: the server has the others.
  let bytes = 0;
  const kept = roots.filter((root) => {
    bytes += root.length;
    return bytes <= rootsBytesMax;
  });
  const isSame = kept.length === before.length && kept.every((root, index) => before[index]?.equals(root) === true);
  if (kept.length === 0 || isSame) return;
  try {
    const record = { v: 1, roots: kept.map((root) => root.toString('base64')) };
    whereThereIsRoom(() => replaceJson(files, layout.trustBegins, record, mode));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EROFS')) throw error;
  }
}
