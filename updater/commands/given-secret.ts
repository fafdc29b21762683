import { resolve } from 'node:path';
import type { CommandLine } from '../effects/command-line.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { StandardInput } from '../effects/standard-input.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { commandTexts } from '../words/texts.ts';

/** Set-up reads secrets from a file, standard input or the keyboard: every user can read arguments. */

const secretBytesMax = 10_000;
const ways = commandTexts.claimWays;

/** @throws SetUpError `claim-on-command-line`, `claim-missing`, and what {@link secretIn} throws */
export async function givenClaim({ options, files, complain }: CommandLine, input: StandardInput): Promise<string> {
  const { claim, 'claim-file': file } = options;
  if (claim !== undefined && claim !== '-') {
    throw new SetUpError('claim-on-command-line', commandTexts.claimShown, commandTexts.claimShownNext(ways));
  }
  if (file !== undefined) return secretIn(files, file);
  if (claim === '-') return input.readAll(secretBytesMax);
  const typed = input.isTerminal
    ? await input.readHidden(secretBytesMax, () => complain(commandTexts.claimAsked))
    : null;
  if (typed !== null && typed.trim() !== '') return typed;
  throw new SetUpError('claim-missing', commandTexts.claimMissing, commandTexts.claimMissingNext(ways));
}

/** @throws SetUpError `proxy-on-command-line`, and what {@link secretIn} throws */
export function givenProxy({ options, files }: CommandLine): string | undefined {
  const { proxy, 'proxy-file': file } = options;
  if (file !== undefined) return secretIn(files, file).trim();
  if (proxy === undefined || !proxy.includes('@')) return proxy;
  throw new SetUpError('proxy-on-command-line', commandTexts.passwordShown, commandTexts.passwordShownNext);
}

/** @throws SetUpError `secret-unreadable`, `secret-open-to-others` */
function secretIn(files: Files, file: string): string {
  const path = resolve(file);
  const facts = files.stat(path);
  if (facts !== null && (facts.mode & 0o077) !== 0) {
    throw new SetUpError(
      'secret-open-to-others',
      commandTexts.othersMayRead(path),
      commandTexts.othersMayReadNext(path),
    );
  }
  const text = facts === null ? null : readFile(files, path, secretBytesMax);
  if (text !== null) return text.toString('utf8');
  throw new SetUpError('secret-unreadable', commandTexts.notThere(path), commandTexts.notThereNext);
}
