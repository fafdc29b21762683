/** Wrong tokens in a row from one peer before it has to wait. */
const freeTries = 5;
const waitMs = 2_000;
/** Peers that are remembered; the one with the oldest wrong token is forgotten first. */
const peersMax = 1_000;

interface Tally {
  readonly failures: number;
  readonly untilMs: number;
}

/**
 * Wrong tokens, by peer. A wait only slows guessing down: the token has 192 bits, so the right one is always looked at,
 * and nobody's guesses lock anybody out.
 */
export class LoginWaits {
  readonly #tallies = new Map<string, Tally>();

  /** Milliseconds until a wrong token of this peer is looked at again. */
  leftMs(peer: string, nowMs: number): number {
    return Math.max(0, (this.#tallies.get(peer)?.untilMs ?? 0) - nowMs);
  }

  failed(peer: string, nowMs: number): void {
    const failures = (this.#tallies.get(peer)?.failures ?? 0) + 1;
    this.#tallies.delete(peer);
    this.#tallies.set(peer, { failures, untilMs: failures >= freeTries ? nowMs + waitMs : 0 });
    for (const oldest of this.#tallies.keys()) {
      if (this.#tallies.size <= peersMax) break;
      this.#tallies.delete(oldest);
    }
  }

  right(peer: string): void {
    this.#tallies.delete(peer);
  }

  get size(): number {
    return this.#tallies.size;
  }
}
