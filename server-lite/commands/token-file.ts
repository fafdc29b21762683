import { writeDurably } from '../keys.ts';
import { StartError } from '../start-error.ts';
import { commandTexts } from '../texts.ts';

/** @param otherwise what is true if it cannot be written */
export function writeTokenFile(path: string, token: string, otherwise: string): void {
  try {
    writeDurably(path, `${token}\n`, 0o600);
  } catch (cause) {
    const message = commandTexts.tokenNotWritten(path, cause instanceof Error ? cause.message : String(cause));
    throw new StartError('token-file-not-written', message, commandTexts.tokenNotWrittenNext(otherwise), { cause });
  }
}
