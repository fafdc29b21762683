import { type Digest, sha256 } from '../../protocol/digest.ts';
import { manifestTargetName } from '../../protocol/manifest.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { type Trusted, trustRoot, updateRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { signersOf, tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { findTarget, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import { readRoot } from '../ceremony/read-metadata.ts';
import { ImageError } from '../errors.ts';
import { type OpenedBundle, withBundle } from './open-bundle.ts';
import { openManifest, verifyContent } from './verify-content.ts';

/** What a verified bundle says of itself. */
export interface VerifiedBundle {
  /** The root that trust began with: its version, its digest, and whether it was given or only carried. */
  readonly begins: { readonly version: number; readonly sha256: Digest; readonly isGiven: boolean };
  readonly root: SignedMetadata;
  readonly targets: SignedMetadata & { readonly releases: number };
  /** null: the bundle carries metadata alone. */
  readonly release: VerifiedRelease | null;
}

interface SignedMetadata {
  readonly version: number;
  readonly expires: string;
  readonly hasExpired: boolean;
  /** Ids of the keys that signed it, as its root names them. */
  readonly signedBy: readonly string[];
}

export interface VerifiedRelease {
  readonly component: string;
  readonly version: string;
  readonly securityVersion: number;
  readonly manifest: Digest;
  readonly source: { readonly commit: string; readonly builtBy: string; readonly hasOwnChanges: boolean };
  readonly sbom: Digest;
  readonly runtime: Digest | null;
  readonly files: number;
  readonly chunks: number;
}

/**
 * Checks a bundle as a server and an appliance do, without either: its form, the signatures along the chain of roots, that
 * the targets list it, and every byte that would be installed.
 * @param given the root that an appliance trusts; null: the first one that the bundle carries, which proves only that the
 * bundle agrees with itself
 * @throws ImageError `bundle-damaged`, `bundle-untrusted`
 */
export function verifyBundle(path: string, given: Buffer | null, now: Date): Promise<VerifiedBundle> {
  return withBundle(path, async (bundle, read) => {
    const trusted = asUntrusted(() => trustedBy(bundle, given));
    const metadata = { ...describeTrust(trusted, now), begins: beginning(bundle, given) };
    if (bundle.release === null) return { ...metadata, release: null };
    const { bytes, manifest } = await openManifest(bundle.release);
    const { component, version } = manifest;
    asUntrusted(() => verifyTarget(findTarget(trusted, manifestTargetName(component, version)), bytes));
    await verifyContent(bundle.release, manifest, read);
    const { securityVersion, source, sbom, runtime, files, chunks } = manifest;
    const release: VerifiedRelease = {
      ...{ component, version, securityVersion, sbom },
      manifest: sha256(bytes),
      source: { ...source, hasOwnChanges: source.commit.includes('+') },
      runtime: runtime?.digest ?? null,
      files: files.length,
      chunks: chunks.length,
    };
    return { ...metadata, release };
  });
}

function asUntrusted<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new ImageError('bundle-untrusted', `the bundle is not trusted: ${cause.message} (${cause.code})`, untrusted, {
      cause,
    });
  }
}

const untrusted = 'do not install it; ask who made it, or take the bundle from the server';

function firstRoot({ roots }: OpenedBundle): Buffer {
  return roots[0]?.bytes ?? Buffer.alloc(0);
}

function beginning(bundle: OpenedBundle, given: Buffer | null): VerifiedBundle['begins'] {
  const bytes = given ?? firstRoot(bundle);
  return { version: trustRoot(bytes).root.version, sha256: sha256(bytes), isGiven: given !== null };
}

function trustedBy(bundle: OpenedBundle, given: Buffer | null): Trusted {
  let trusted = trustRoot(given ?? firstRoot(bundle));
  for (const { version, bytes } of bundle.roots) {
    if (version === trusted.root.version && !bytes.equals(trusted.root.bytes)) {
      throw new TrustError('tuf-mismatch', `the root ${version} that it carries is not the one that was given`);
    }
    if (version > trusted.root.version) trusted = updateRoot(trusted, bytes);
  }
  return updateTargetsFromFile(trusted, bundle.targets);
}

function describeTrust(trusted: Trusted, now: Date): Pick<VerifiedBundle, 'root' | 'targets'> {
  const { root, targets } = trusted;
  if (targets === null) throw new TypeError('verify a bundle: its targets were verified, and are gone');
  const { roles } = readRoot(root.bytes);
  const signed = (role: 'root' | 'targets', { version, bytes, metadata }: typeof root | typeof targets) => ({
    version,
    expires: metadata.signed.expires,
    hasExpired: metadata.signed.isExpired(now),
    signedBy: signersOf(role, bytes, roles[role].keys).map(tufKeyId),
  });
  const releases = Object.keys(targets.metadata.signed.targets).length;
  return { root: signed('root', root), targets: { ...signed('targets', targets), releases } };
}

/** What a person reads of it. */
export function verifiedText(path: string, { begins, root, targets, release }: VerifiedBundle): string {
  const metadata = (name: string, { version, expires, hasExpired, signedBy }: SignedMetadata) =>
    `${name.padEnd(8)} ${version}, ${hasExpired ? 'EXPIRED' : 'good until'} ${expires.slice(0, 10)}, signed by ${signedBy.map((id) => id.slice(0, 16)).join(', ')}`;
  const given = begins.isGiven
    ? `trust begins with the given root ${begins.version}`
    : `trust begins with the root ${begins.version} that the bundle carries (SHA-256 ${begins.sha256}): compare it, or give --root`;
  const facts = release === null ? ['metadata alone: no release is in it'] : releaseLines(release);
  return [
    `${path} is whole and signed`,
    ...facts,
    metadata('root', root),
    `${metadata('targets', targets)}, ${targets.releases} listed`,
    given,
  ].join('\n');
}

function releaseLines(release: VerifiedRelease): string[] {
  const { commit, builtBy, hasOwnChanges } = release.source;
  const changes = hasOwnChanges ? ' (with changes that this commit does not have)' : '';
  return [
    `release  ${release.component} ${release.version}, security version ${release.securityVersion}, manifest ${release.manifest}`,
    `content  ${release.files} files, ${release.chunks} chunks${release.runtime === null ? '' : `, runtime ${release.runtime}`}`,
    `source   ${commit}${changes}`,
    `built by ${builtBy}`,
    `SBOM     ${release.sbom}`,
  ];
}
