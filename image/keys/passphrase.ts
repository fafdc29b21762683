import { openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ReadStream, WriteStream } from 'node:tty';
import { ImageError } from '../errors.ts';

/** Asks for the passphrase of one key file. It is asked for when it is needed, and never kept longer than the process. */
export type PassphraseSource = (subject: string) => Promise<string>;

/** Six words of a list, or twenty letters by chance, are far more; a shorter one is guessed. */
const charactersMin = 12;
const charactersMax = 1_000;

/** For whoever has nobody to ask. */
export const noPassphrase: PassphraseSource = (subject) =>
  Promise.reject(
    new ImageError('passphrase-unusable', `${subject} is under a passphrase`, 'give --passphrase-file FILE'),
  );

/** Where passphrases come from: a file, else the terminal. Never an argument, never the environment: others read those. */
export function passphrasesFrom(file: string | undefined): PassphraseSource {
  return file === undefined ? askTerminal : () => readPassphraseFile(file);
}

/** @throws ImageError `passphrase-unusable` when others may read the file, or it holds no line */
export async function readPassphraseFile(path: string): Promise<string> {
  const { mode } = await stat(path).catch((cause: unknown) => {
    throw unusable(`${path} can not be read`, 'check its name', cause);
  });
  if ((mode & 0o077) !== 0) throw unusable(`others may read ${path}`, `chmod 600 ${path}`);
  const line = (await readFile(path, 'utf8')).split('\n')[0] ?? '';
  if (line === '') throw unusable(`the first line of ${path} is empty`, 'write the passphrase into it');
  return line;
}

/** A passphrase for new keys. @throws ImageError `passphrase-unusable` when it is easy to guess for its length alone */
export function requireStrong(passphrase: string): string {
  if (passphrase.length >= charactersMin) return passphrase;
  throw unusable(`a passphrase of ${passphrase.length} characters is guessed`, `take ${charactersMin} or more`);
}

/** Asked twice, because nobody sees what was typed. */
export async function askNew(source: PassphraseSource, isTyped: boolean): Promise<string> {
  const first = requireStrong(await source('the new keys'));
  if (isTyped && (await source('the new keys, once more')) !== first) {
    throw unusable('the two passphrases are not the same', 'type it again');
  }
  return first;
}

async function askTerminal(subject: string): Promise<string> {
  const { input, output } = openTerminal(subject);
  try {
    output.write(`passphrase of ${subject}: `);
    return await readHidden(input);
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
    throw unusable(`${subject} is under a passphrase, and there is no terminal`, 'give --passphrase-file FILE', cause);
  }
}

/** What a terminal is, as far as reading from it without echo needs it. */
export interface HiddenInput extends NodeJS.ReadableStream {
  setRawMode?(isRaw: boolean): unknown;
}

const [interrupt, end, backspace, erase] = ['\u0003', '\u0004', '\b', '\u007f'];

/** One line, without showing it. @throws ImageError `passphrase-unusable` when the person gives up */
export function readHidden(input: HiddenInput): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (settle: () => void) => {
      input.off('data', onData);
      input.off('end', onEnd);
      input.setRawMode?.(false);
      input.pause();
      settle();
    };
    const giveUp = () => finish(() => reject(unusable('no passphrase was typed', 'type it, and then Enter')));
    const onEnd = giveUp;
    const onData = (chunk: Buffer | string) => {
      for (const key of chunk.toString()) {
        if (key === '\r' || key === '\n') return finish(() => resolve(typed.join('')));
        if (key === interrupt || key === end || typed.length > charactersMax) return giveUp();
        if (key === backspace || key === erase) typed = typed.slice(0, -1);
        else typed.push(key);
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
    input.setRawMode?.(true);
    input.resume();
  });
}

function unusable(message: string, next: string, cause?: unknown): ImageError {
  return new ImageError('passphrase-unusable', message, next, { cause });
}
