/** Places for digests, of which each takes 8 bytes. */
const placesDefault = 1 << 23;

/**
 * The digests of all states that were looked at, in memory that all threads share: who claims one first looks at it, and
 * each counts once. 64 bits of a SHA-256 are compared; among a million states two share them once in 10^7 runs.
 */
export class Claims {
  readonly shared: SharedArrayBuffer;
  readonly #places: BigUint64Array;

  constructor(shared = new SharedArrayBuffer(placesDefault * 8)) {
    this.shared = shared;
    this.#places = new BigUint64Array(shared);
  }

  /** @returns false when somebody has it already */
  claim(digest: string): boolean {
    const key = BigInt(`0x${digest.slice(0, 16)}`) | 1n;
    const places = BigInt(this.#places.length);
    for (let at = key % places; ; at = (at + 1n) % places) {
      const found = Atomics.compareExchange(this.#places, Number(at), 0n, key);
      if (found === 0n) return true;
      if (found === key) return false;
    }
  }
}
