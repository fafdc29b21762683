import { z } from 'zod';
import { exitUsage } from '../../protocol/exit-status.ts';

/** Ends the program: it was not called rightly. */
export function wrongUsage(text: string): never {
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exit(exitUsage);
}

/** What a command line was read as; where it cannot be, its program ends, and says how it is called. */
export function orUsage<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof z.ZodError) return wrongUsage(`${z.prettifyError(error)}\n${usage}`);
    if (error instanceof TypeError) return wrongUsage(`${error.message}\n${usage}`);
    throw error;
  }
}
