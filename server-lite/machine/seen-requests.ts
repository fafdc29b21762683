/** Accepted requests of one key that are remembered. Two devices that take turns meet at the newest one. */
const acceptedKept = 16;
/** Contradictions of one key that are remembered, so that each counts once. */
const contradictionsKept = 64;

/** What the requests of each key show about their senders. The signature of each was verified. */
export interface SeenRequests {
  /** @param digest of the bytes that were signed */
  accepted(keyId: string, seq: number, digest: string): void;
  /**
   * Does a request whose counter is too low show that two devices use its key? One device signs one request with each
   * counter. So it does if another request was accepted with this counter and this one was not seen before. The same
   * bytes again show nothing: anybody who recorded them can send them.
   */
  contradicts(keyId: string, seq: number, digest: string): boolean;
}

/**
 * In memory: a request that a restart forgot contradicts nothing, and two devices that take turns do so again with the
 * next message.
 */
export function seenRequests(): SeenRequests {
  const accepted = new Map<string, readonly { readonly seq: number; readonly digest: string }[]>();
  const contradictions = new Map<string, readonly string[]>();
  return {
    accepted: (keyId, seq, digest) => {
      accepted.set(keyId, [...(accepted.get(keyId) ?? []), { seq, digest }].slice(-acceptedKept));
    },
    contradicts: (keyId, seq, digest) => {
      const same = (accepted.get(keyId) ?? []).find((one) => one.seq === seq);
      const known = contradictions.get(keyId) ?? [];
      if (same === undefined || same.digest === digest || known.includes(digest)) return false;
      contradictions.set(keyId, [...known, digest].slice(-contradictionsKept));
      return true;
    },
  };
}
