/** Places for digests, of which each takes 8 bytes. */
const placesDefault = 1 << 24;

/**
 * The digests of all states that were looked at, in memory that all threads share: who claims one first looks at it, and
 * each counts once. 63 bits of them are compared: among two million states two share them once in four million runs.
 */
export class Claims {
  readonly shared: SharedArrayBuffer;
  readonly #places: BigUint64Array;

  constructor(shared = new SharedArrayBuffer(placesDefault * 8)) {
    this.shared = shared;
    this.#places = new BigUint64Array(shared);
  }

  /** @returns false when somebody has it already */
  claim(digest: bigint): boolean {
    const key = digest | 1n;
    const places = this.#places.length;
    const first = Number(BigInt.asUintN(32, digest >> 8n)) % places;
    for (let step = 0; step < places; step += 1) {
      const found = Atomics.compareExchange(this.#places, (first + step) % places, 0n, key);
      if (found === 0n) return true;
      if (found === key) return false;
    }
    throw new RangeError(`there is no place for more than ${places} states`);
  }
}
