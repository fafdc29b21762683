import { addressBelow } from '../../protocol/address.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import {
  type Trusted,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
  wantedSnapshot,
  wantedTargets,
} from '../../protocol/trust/tuf.ts';
import {
  type Delegation,
  roleBytesMax,
  TargetSearch,
  topLevel,
  verifyRole,
  wantedRole,
} from '../../protocol/trust/tuf-delegations.ts';
import { issuedAtOf } from '../../protocol/trust/tuf-targets.ts';
import type { Http } from '../effects/http.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { type TrustPlace, trustedTime, withinStep } from '../trust/trust-files.ts';
import { loadTrust, promote, raiseTrustedTime, storedRole, storeRole } from '../trust/trust-store.ts';
import { releaseTexts } from '../words/texts.ts';

type FoundTarget = NonNullable<ReturnType<TargetSearch['look']>>;

/** Where a release repository has its metadata. */
const belowBase = '/metadata';
/** For one metadata file of at most 1 MiB: 10 KiB/s is enough. */
const metadataTotalMs = 2 * 60_000;

/**
 * TUF's client workflow (5.3 to 5.6) against a server. Each role is stored as soon as it is verified.
 * @param base address of the release repository, e.g. `http://127.0.0.1:4000/releases`
 * @param below where its metadata is
 * @param signal ends the walk, as if its time were over
 * @throws ReleaseError
 */
export async function refreshMetadata(
  place: TrustPlace,
  http: Http,
  base: string,
  below: string = belowBase,
  signal?: AbortSignal,
): Promise<Trusted> {
  try {
    return await walk(place, http, addressBelow(base, below), signal);
  } catch (error) {
    throw asReleaseError(error, releaseTexts.metadata);
  }
}

/**
 * TUF 5.6.7: the file of this name, from whichever delegated role has it. Each role is stored once it is verified.
 * @throws ReleaseError `tuf-target-unknown`, and errors of a role's metadata
 */
export async function searchTarget(
  place: TrustPlace,
  http: Http,
  base: string,
  trusted: Trusted,
  name: string,
  below: string = belowBase,
): Promise<FoundTarget> {
  try {
    const search = new TargetSearch(name);
    if (trusted.targets === null) throw new TrustError('tuf-incomplete', releaseTexts.noTargets);
    let found = search.look(topLevel, trusted.targets);
    for (let next = search.next(); found === undefined && next !== null; next = search.next()) {
      found = search.look(next.role, await roleOf(place, http, addressBelow(base, below), trusted, next));
    }
    if (found === undefined) throw new TrustError('tuf-target-unknown', releaseTexts.notListed(name));
    return found;
  } catch (error) {
    throw asReleaseError(error, name);
  }
}

async function roleOf(place: TrustPlace, http: Http, base: string, trusted: Trusted, delegation: Delegation) {
  const wanted = wantedRole(trusted, delegation.role);
  const now = trustedTime(place);
  const stored = storedRole(place, delegation.role);
  if (stored !== null) {
    try {
      return verifyRole(trusted, delegation, stored, now);
    } catch (error) {
      if (!(error instanceof TrustError)) throw error; // not the one that is named now, so it is fetched
    }
  }
  const url = addressBelow(base, wanted.name);
  const bytes = await fetchMetadata(http, url, Math.min(wanted.length ?? Infinity, roleBytesMax));
  if (bytes === null) throw new ReleaseError('http-status', releaseTexts.notThere(url));
  const role = verifyRole(trusted, delegation, bytes, now);
  storeRole(place, delegation.role, bytes);
  return role;
}

async function walk(place: TrustPlace, http: Http, base: string, signal?: AbortSignal): Promise<Trusted> {
  const fetchRole = (name: string, bytesMax: number) => fetchMetadata(http, addressBelow(base, name), bytesMax, signal);
  const required = async (name: string, bytesMax: number): Promise<Buffer> => {
    const bytes = await fetchRole(name, bytesMax);
    if (bytes === null) throw new ReleaseError('http-status', releaseTexts.notThere(addressBelow(base, name)));
    return bytes;
  };
  let trusted = loadTrust(place);
  const advance = (after: Trusted): void => {
    promote(place, trusted, after);
    trusted = after;
  };
  for (let walked = 0; walked < metadataLimits.rootsPerWalkMax; walked += 1) {
    const bytes = await fetchRole(`${trusted.root.version + 1}.root.json`, metadataLimits.rootBytesMax);
    if (bytes === null) break;
    advance(updateRoot(trusted, bytes));
  }
  const timestamp = await required('timestamp.json', metadataLimits.timestampBytesMax);
  const before = trustedTime(place);
  advance(updateTimestamp(trusted, timestamp, before));
  const now = raised(place, trusted, before);
  const snapshot = wantedSnapshot(trusted);
  if (snapshot !== null) {
    const bytes = await required(snapshot.name, Math.min(snapshot.length ?? Infinity, metadataLimits.snapshotBytesMax));
    advance(updateSnapshot(trusted, bytes, now));
  }
  const targets = wantedTargets(trusted);
  if (targets !== null) {
    const bytes = await required(targets.name, Math.min(targets.length ?? Infinity, metadataLimits.targetsBytesMax));
    advance(updateTargets(trusted, bytes, now));
  }
  requireFresh(trusted, raised(place, trusted, before));
  return trusted;
}

/** Raises the trusted time by one step from the time before this walk, however often it is called. */
function raised(place: TrustPlace, trusted: Trusted, before: Date | null): Date | null {
  const issuedAt = issuedAtOf(trusted);
  return issuedAt === null ? trustedTime(place) : raiseTrustedTime(place, trusted, withinStep(before, issuedAt));
}

/** 5.5.6 and 5.6.5 also hold for metadata that did not have to be fetched again. */
function requireFresh(trusted: Trusted, now: Date | null): void {
  for (const role of ['snapshot', 'targets'] as const) {
    const { [role]: metadata } = trusted;
    if (now !== null && metadata?.metadata.signed.isExpired(now) === true) {
      throw new ReleaseError('tuf-expired', releaseTexts.expired(role, metadata.version));
    }
  }
}

/** @returns null when the server has no such file (a static store may answer 403 for that) */
async function fetchMetadata(http: Http, url: string, bytesMax: number, signal?: AbortSignal): Promise<Buffer | null> {
  const request = { url, totalMs: metadataTotalMs, ...(signal === undefined ? {} : { signal }) };
  const answer = await http.fetch(request, bytesMax);
  if (answer.status === 404 || answer.status === 403) return null;
  if (answer.status !== 200) throw new ReleaseError('http-status', releaseTexts.answersWith(url, answer.status));
  return answer.body;
}
