/**
 * What `work` came to, or `late` where a time-out of the product, of so many milliseconds, would have been over. The timer
 * is one of this process and older than the product's own here, so that both fall behind alike on a busy machine.
 */
export async function soonerThan<T>(timeoutMs: number, work: () => Promise<T>): Promise<T | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), timeoutMs);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
