import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../protocol/digest.ts';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** SHA-256 of its public key. */
  readonly pin: string;
}

/** A key and a certificate of it, for the address of loopback and the names; it is its own authority. */
export function makeCertificate(
  directory: string,
  name: string,
  { days = 2, names = [] }: { readonly days?: number; readonly names?: readonly string[] } = {},
): Certificate {
  const path = (suffix: string) => join(directory, `${name}.${suffix}`);
  const [key, cert, wish, more] = [path('key'), path('pem'), path('csr'), path('ext')];
  writeFileSync(more, `subjectAltName=${['IP:127.0.0.1', ...names.map((one) => `DNS:${one}`)].join(',')}\n`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', ...kind, '-subj', `/CN=${name}`, '-keyout', key, '-out', wish);
  openssl('x509', '-req', '-in', wish, '-signkey', key, '-days', String(days), '-extfile', more, '-out', cert);
  const { publicKey } = new X509Certificate(readFileSync(cert));
  const pin = sha256(publicKey.export({ type: 'spki', format: 'der' }));
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8'), pin };
}
