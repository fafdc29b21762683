import { readFileSync } from 'node:fs';
import { certificateTrouble, whyNoPair } from '../protocol/certificate.ts';
import type { Tls } from './listen-policy.ts';
import { StartError } from './start-error.ts';
import { startTexts } from './texts.ts';

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * The certificate and key of two files, which may be renewed while the server runs. The two are replaced one after the
 * other: a pair that does not match is not served, and the previous pair continues to be.
 * @throws StartError `tls-invalid`
 */
export function tlsOf(certFile: string, keyFile: string): Tls {
  let pair = readPair(certFile, keyFile);
  let fault: string | null = null;
  return {
    get cert() {
      return pair.cert;
    },
    get key() {
      return pair.key;
    },
    renewed: () => {
      try {
        const now = readPair(certFile, keyFile);
        fault = null;
        if (now.cert.equals(pair.cert) && now.key.equals(pair.key)) return false;
        pair = now;
        return true;
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        fault = startTexts.renewedPairUnusable(error.message);
        return false;
      }
    },
    trouble: (nowMs) => fault ?? certificateTrouble(pair.cert, nowMs),
  };
}

function readPair(certFile: string, keyFile: string): Pair {
  const pair = { cert: readOne(certFile), key: readOne(keyFile) };
  const why = whyNoPair(pair.cert, pair.key);
  if (why === null) return pair;
  throw new StartError('tls-invalid', startTexts.pairUnusable(certFile, keyFile, why), startTexts.pairUnusableNext);
}

function readOne(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new StartError('tls-invalid', startTexts.tlsFileUnreadable(path, why), startTexts.tlsFileUnreadableNext, {
      cause,
    });
  }
}
