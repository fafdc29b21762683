import { type Digest, sha256 } from '../../protocol/digest.ts';
import { manifestTargetName } from '../../protocol/manifest.ts';
import { whyNotStartable } from '../../protocol/startable.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { type Trusted, trustRoot, updateRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { signersOf, tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { findTarget, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import { readRoot } from '../ceremony/read-metadata.ts';
import { ImageError } from '../errors.ts';
import { verifyTexts } from '../texts.ts';
import { type OpenedBundle, withBundle } from './open-bundle.ts';
import { openManifest, verifyContent } from './verify-content.ts';

/** What a verified bundle contains. */
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
 * Checks a bundle as a server and an appliance do, without either: its form, the signatures along the chain of roots,
 * its entry in the targets, and every byte that would be installed.
 * @param given the root that an appliance trusts; null: the first root in the bundle, which proves only that the bundle
 * agrees with itself
 * @throws ImageError `bundle-damaged`, `bundle-untrusted`, `runtime-missing`
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
    const why = whyNotStartable(manifest);
    if (why !== null) {
      const message = verifyTexts.notStartable(component, version, why);
      throw new ImageError('runtime-missing', message, verifyTexts.notStartableNext);
    }
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
    throw new ImageError(
      'bundle-untrusted',
      verifyTexts.notTrusted(cause.message, cause.code),
      verifyTexts.notTrustedNext,
      {
        cause,
      },
    );
  }
}

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
      throw new TrustError('tuf-mismatch', verifyTexts.otherRoot(version));
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

/** The text for a person. */
export function verifiedText(path: string, { begins, root, targets, release }: VerifiedBundle): string {
  const metadata = (name: string, { version, expires, hasExpired, signedBy }: SignedMetadata) =>
    verifyTexts.metadata(
      name.padEnd(8),
      version,
      hasExpired,
      expires.slice(0, 10),
      signedBy.map((id) => id.slice(0, 16)).join(', '),
    );
  const given = begins.isGiven
    ? verifyTexts.givenRoot(begins.version)
    : verifyTexts.carriedRoot(begins.version, begins.sha256);
  const facts = release === null ? [verifyTexts.metadataAlone] : releaseLines(release);
  return [
    verifyTexts.whole(path),
    ...facts,
    metadata('root', root),
    verifyTexts.listed(metadata('targets', targets), targets.releases),
    given,
  ].join('\n');
}

function releaseLines(release: VerifiedRelease): string[] {
  const { commit, builtBy, hasOwnChanges } = release.source;
  const changes = hasOwnChanges ? verifyTexts.withChanges : '';
  return [
    verifyTexts.release(release.component, release.version, release.securityVersion, release.manifest),
    verifyTexts.content(
      release.files,
      release.chunks,
      release.runtime === null ? '' : verifyTexts.runtime(release.runtime),
    ),
    verifyTexts.source(commit, changes),
    verifyTexts.builtBy(builtBy),
    verifyTexts.sbom(release.sbom),
  ];
}
