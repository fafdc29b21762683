/** Things by the time at which they are due, of one time the one that was added first; one may be due at several times. */
export class DueQueue<Thing> {
  /** A binary heap: none is due before the one at half its place. */
  readonly #heap: { readonly dueMs: number; readonly place: number; readonly thing: Thing }[] = [];
  #places = 0;

  /** The earliest due time; null: there is none. */
  get firstMs(): number | null {
    return this.#heap[0]?.dueMs ?? null;
  }

  add(dueMs: number, thing: Thing): void {
    const heap = this.#heap;
    this.#places += 1;
    let at = heap.push({ dueMs, place: this.#places, thing }) - 1;
    while (at > 0 && this.#isBefore(at, half(at))) at = this.#swap(at, half(at));
  }

  /** Removes one thing that is due at this time or earlier, the earliest first. @returns null: there is none */
  takeUpTo(nowMs: number): Thing | null {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.dueMs > nowMs) return null;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) {
      heap[0] = last;
      let at = 0;
      for (let child = this.#earlierChild(at); this.#isBefore(child, at); child = this.#earlierChild(at)) {
        at = this.#swap(at, child);
      }
    }
    return first.thing;
  }

  #earlierChild(at: number): number {
    const left = 2 * at + 1;
    return this.#isBefore(left + 1, left) ? left + 1 : left;
  }

  #isBefore(at: number, other: number): boolean {
    const [one, two] = [this.#heap[at], this.#heap[other]];
    if (one === undefined || two === undefined) return one !== undefined;
    return one.dueMs < two.dueMs || (one.dueMs === two.dueMs && one.place < two.place);
  }

  #swap(at: number, other: number): number {
    const [one, two] = [this.#heap[at], this.#heap[other]];
    if (one !== undefined && two !== undefined) [this.#heap[at], this.#heap[other]] = [two, one];
    return other;
  }
}

function half(at: number): number {
  return (at - 1) >> 1;
}
