import { createHash, X509Certificate } from 'node:crypto';

/** The part of a TLS certificate that is checked here; each names its issuer. */
export interface ChainLink {
  readonly raw: Uint8Array;
  readonly fingerprint256: string;
  readonly issuerCertificate?: ChainLink;
}

/**
 * In addition to what TLS has proven: one key of the chain must be pinned.
 * @returns undefined when one is
 */
export function pinProblem(host: string, certificate: ChainLink, pins: readonly string[]): Error | undefined {
  const seen = new Set<string>();
  let link: ChainLink | undefined = certificate;
  while (link !== undefined && !seen.has(link.fingerprint256)) {
    seen.add(link.fingerprint256);
    const key = new X509Certificate(Buffer.from(link.raw)).publicKey.export({ type: 'spki', format: 'der' });
    if (pins.includes(createHash('sha256').update(key).digest('hex'))) return undefined;
    link = link.issuerCertificate;
  }
  return new Error(`no certificate of ${host} has a pinned key`);
}
