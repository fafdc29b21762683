/**
 * For places that users other than root may change, and for what is only reported to people: an error of the system is
 * logged and ends no run.
 * @param what the failed operation, for the log
 * @param refused the result in that case
 */
export function unlessRefused<T>(log: (text: string) => void, what: string, refused: T, deed: () => T): T {
  try {
    return deed();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(`${what}: ${error.message}`);
    return refused;
  }
}
