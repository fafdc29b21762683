import type { PeerName } from './failures.ts';

/** Wrong passwords in a row that a peer may send without a wait. */
const freeFailures = 5;
const waitMs = 2_000;
/** Peers that are remembered; the one whose last failure is oldest is forgotten first. */
const peersMax = 200;

/**
 * Wrong passwords by peer, for a page that is reached from elsewhere. A person chose the password, so even the right
 * one has to wait; but only when it comes from the same peer.
 */
export class PasswordWaits {
  readonly #tallies = new Map<PeerName, { readonly count: number; readonly untilMs: number }>();

  /** Whole seconds; 0: it may try. */
  leftS(peer: PeerName, nowMs: number): number {
    return Math.ceil(Math.max(0, (this.#tallies.get(peer)?.untilMs ?? 0) - nowMs) / 1000);
  }

  wrong(peer: PeerName, nowMs: number): void {
    const count = (this.#tallies.get(peer)?.count ?? 0) + 1;
    this.#tallies.delete(peer);
    this.#tallies.set(peer, { count, untilMs: count >= freeFailures ? nowMs + waitMs : 0 });
    for (const oldest of this.#tallies.keys()) {
      if (this.#tallies.size <= peersMax) break;
      this.#tallies.delete(oldest);
    }
  }

  right(peer: PeerName): void {
    this.#tallies.delete(peer);
  }
}
