import { createPrivateKey, X509Certificate } from 'node:crypto';

/** What a certificate shows before a client refuses it. */

/** Renewing by hand takes a person some days. */
const warnMs = 14 * 86_400_000;

/**
 * Why certificate and key cannot be served together; null: they can. Both are PEM; the first certificate is the
 * server's.
 */
export function whyNoPair(cert: Uint8Array, key: Uint8Array): string | null {
  try {
    const isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(Buffer.from(key)));
    return isPair ? null : 'the key does not belong to the certificate';
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `certificate or key cannot be read as PEM (${error.message})`;
  }
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');

/** @returns a sentence if clients refuse the certificate at that time, or soon will; null: it is in order */
export function certificateTrouble(cert: Uint8Array, nowMs: number): string | null {
  const { validFrom, validTo } = new X509Certificate(cert);
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  if (nowMs < fromMs) {
    return `the TLS certificate is valid from ${day(fromMs)} UTC on, and the clock here says ${day(nowMs)}: clients refuse it; set the clock if it is wrong, else use another certificate`;
  }
  if (nowMs >= toMs) return `the TLS certificate expired on ${day(toMs)} UTC: clients refuse it; renew it in place`;
  return toMs - nowMs > warnMs ? null : `the TLS certificate expires on ${day(toMs)} UTC; renew it in place`;
}

const timeCodes = /CERT_NOT_YET_VALID|CERT_HAS_EXPIRED|certificate is not yet valid|certificate has expired/;

/**
 * A certificate refused because of its dates may be right, and the clock of the machine that refuses it wrong.
 * @param said the code or message of the TLS layer
 * @returns words that follow it; empty: it is about something else
 */
export function clockWords(said: string, nowMs: number): string {
  if (!timeCodes.test(said)) return '';
  const which =
    said.includes('EXPIRED') || said.includes('expired') ? 'renew it on the server' : 'wait until it is valid';
  return `; the clock here says ${day(nowMs)} UTC: if that is wrong, set it; if it is right, ${which}`;
}
