import {
  type Trusted,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
  wantedSnapshot,
  wantedTargets,
} from '../../protocol/trust/tuf.ts';
import { metadataLimits } from '../../protocol/trust/tuf-metadata.ts';
import { issuedAtOf } from '../../protocol/trust/tuf-targets.ts';
import type { Http } from '../effects/http.ts';
import { asReleaseError, ReleaseError } from './release-error.ts';
import { loadTrust, promote, raiseTrustedTime, type TrustPlace, trustedTime } from './trust-store.ts';

/** For one metadata file of at most 1 MiB: 10 KiB/s is enough. */
const metadataTotalMs = 2 * 60_000;

/**
 * TUF's client workflow (5.3 to 5.6) against a server. Each role is stored as soon as it is verified.
 * @param base address of the release repository, e.g. `http://127.0.0.1:4000/releases`
 * @throws ReleaseError
 */
export async function refreshMetadata(place: TrustPlace, http: Http, base: string): Promise<Trusted> {
  try {
    return await walk(place, http, base);
  } catch (error) {
    throw asReleaseError(error, 'release metadata');
  }
}

async function walk(place: TrustPlace, http: Http, base: string): Promise<Trusted> {
  const fetchRole = (name: string, bytesMax: number) => fetchMetadata(http, `${base}/metadata/${name}`, bytesMax);
  const required = async (name: string, bytesMax: number): Promise<Buffer> => {
    const bytes = await fetchRole(name, bytesMax);
    if (bytes === null) throw new ReleaseError('http-status', `${base}/metadata/${name} is not there`);
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
  advance(updateTimestamp(trusted, timestamp, trustedTime(place)));
  const now = raised(place, trusted);
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
  requireFresh(trusted, raised(place, trusted));
  return trusted;
}

function raised(place: TrustPlace, trusted: Trusted): Date | null {
  const issuedAt = issuedAtOf(trusted);
  return issuedAt === null ? trustedTime(place) : raiseTrustedTime(place, trusted, issuedAt);
}

/** 5.5.6 and 5.6.5 also hold for metadata that did not have to be fetched again. */
function requireFresh(trusted: Trusted, now: Date | null): void {
  for (const role of ['snapshot', 'targets'] as const) {
    const { [role]: metadata } = trusted;
    if (now !== null && metadata?.metadata.signed.isExpired(now) === true) {
      throw new ReleaseError('tuf-expired', `${role} metadata ${metadata.version} has expired`);
    }
  }
}

/** @returns null when the server has no such file (a static store may say 403 for that) */
async function fetchMetadata(http: Http, url: string, bytesMax: number): Promise<Buffer | null> {
  const answer = await http.fetch({ url, totalMs: metadataTotalMs }, bytesMax);
  if (answer.status === 404 || answer.status === 403) return null;
  if (answer.status !== 200) throw new ReleaseError('http-status', `${url} answers with status ${answer.status}`);
  return answer.body;
}
