import { openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ReadStream, WriteStream } from 'node:tty';
import { type HiddenInput, readHidden } from '../../protocol/hidden-line.ts';
import { printable } from '../../protocol/printable.ts';
import { ImageError } from '../errors.ts';
import { keyTexts } from '../texts.ts';

/** Asks for the passphrase of one key file, when it is needed; it is kept no longer than the process. */
export type PassphraseSource = (subject: string) => Promise<string>;

/** Six words of a list, or twenty random letters, are far longer; a shorter passphrase can be guessed. */
const charactersMin = 12;
const charactersMax = 1_000;

/** For callers that have nobody to ask. */
export const noPassphrase: PassphraseSource = (subject) =>
  Promise.reject(new ImageError('passphrase-unusable', keyTexts.sealed(subject), keyTexts.passphraseFileNext));

/** Passphrases come from a file, else the terminal. Never from arguments or the environment, which others can read. */
export function passphrasesFrom(file: string | undefined): PassphraseSource {
  return file === undefined ? askTerminal : () => readPassphraseFile(file);
}

/** @throws ImageError `passphrase-unusable` if others may read the file, or its first line is empty */
export async function readPassphraseFile(path: string): Promise<string> {
  const { mode } = await stat(path).catch((cause: unknown) => {
    throw unusable(keyTexts.passphraseFileUnreadable(path), keyTexts.passphraseFileUnreadableNext, cause);
  });
  if ((mode & 0o077) !== 0) throw unusable(keyTexts.openToOthers(path), keyTexts.openToOthersNext(path));
  const line = (await readFile(path, 'utf8')).split('\n')[0] ?? '';
  if (line === '') throw unusable(keyTexts.firstLineEmpty(path), keyTexts.firstLineEmptyNext);
  return line;
}

/** A passphrase for new keys. @throws ImageError `passphrase-unusable` if it is too short to resist guessing */
export function requireStrong(passphrase: string): string {
  if (passphrase.length >= charactersMin) return passphrase;
  throw unusable(keyTexts.tooShort(passphrase.length), keyTexts.tooShortNext(charactersMin));
}

/** Asks twice, because nobody sees what was typed. */
export async function askNew(source: PassphraseSource, isTyped: boolean): Promise<string> {
  const first = requireStrong(await source(keyTexts.newKeys));
  if (isTyped && (await source(keyTexts.newKeysAgain)) !== first) {
    throw unusable(keyTexts.notTheSame, keyTexts.typeAgainNext);
  }
  return first;
}

async function askTerminal(subject: string): Promise<string> {
  const { input, output } = openTerminal(subject);
  try {
    return await readTyped(input, () => void output.write(printable(keyTexts.ask(subject))));
  } finally {
    output.write('\n');
    input.destroy();
    output.destroy();
  }
}

function openTerminal(subject: string): { input: ReadStream; output: WriteStream } {
  try {
    // Not standard input: that may be a pipe, and the terminal is where the person is.
    return { input: new ReadStream(openSync('/dev/tty', 'r')), output: new WriteStream(openSync('/dev/tty', 'w')) };
  } catch (cause) {
    throw unusable(keyTexts.noTerminal(subject), keyTexts.passphraseFileNext, cause);
  }
}

/** Reads one line without showing it. @throws ImageError `passphrase-unusable` if the person gives up */
export async function readTyped(input: HiddenInput, ask: () => void): Promise<string> {
  const typed = await readHidden(input, charactersMax, ask);
  if (typed === null) throw unusable(keyTexts.nothingTyped, keyTexts.nothingTypedNext);
  return typed;
}

function unusable(message: string, next: string, cause?: unknown): ImageError {
  return new ImageError('passphrase-unusable', message, next, { cause });
}
