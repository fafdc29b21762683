/**
 * What cases found that run by themselves, several at a time, while each test waits for its own. A case that was never
 * reached fails with what stopped the ones before it.
 */
export class Findings<Case, Found> {
  readonly #found = new Map<Case, PromiseWithResolvers<Found>>();

  constructor(cases: readonly Case[]) {
    for (const one of cases) {
      const finding = Promise.withResolvers<Found>();
      finding.promise.catch(() => null); // the test that waits for it tells
      this.#found.set(one, finding);
    }
  }

  /** Runs one case and keeps what it found, or how it failed; a failure also ends whoever runs them. */
  async settle(one: Case, work: () => Promise<Found>): Promise<void> {
    try {
      this.#of(one).resolve(await work());
    } catch (error) {
      this.#of(one).reject(error);
      throw error;
    }
  }

  /** Those that have found nothing yet never will. */
  breakOff(cause: unknown): void {
    for (const { reject } of this.#found.values()) {
      reject(new Error('the cases broke off before this one', { cause }));
    }
  }

  found(one: Case): Promise<Found> {
    return this.#of(one).promise;
  }

  async allSettled(): Promise<void> {
    await Promise.allSettled([...this.#found.values()].map(({ promise }) => promise));
  }

  #of(one: Case): PromiseWithResolvers<Found> {
    const finding = this.#found.get(one);
    if (finding === undefined) throw new RangeError('a case that nobody listed');
    return finding;
  }
}
