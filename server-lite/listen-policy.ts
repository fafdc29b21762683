import { loopbackHosts } from './guard.ts';

export interface Listen {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
  /** Where appliances and people reach it, when that is not where it listens. */
  readonly publicUrl: string | null;
  /** May the dashboard be read without the token? */
  readonly openReading: boolean;
}

class ListenPolicyError extends Error {
  readonly code = 'not-loopback-without-tls';
}

/**
 * Beyond loopback the server listens only with TLS, and then nothing is read without the token.
 * @throws ListenPolicyError
 */
export function listenPolicy(asked: Omit<Listen, 'openReading'>): Listen {
  const loopback = loopbackHosts.has(asked.host) || asked.host === '::1';
  if (!loopback && (asked.tls === null || asked.publicUrl === null)) {
    throw new ListenPolicyError(
      `listen on ${asked.host}: that is not loopback, so it needs TLS and a name. Give --tls-cert, --tls-key and --public-url, or leave --host out`,
    );
  }
  return { ...asked, openReading: loopback };
}
