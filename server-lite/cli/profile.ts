import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import { systemProblem } from '../../protocol/system-problem.ts';
import { parseWritten } from '../../protocol/written-json.ts';
import { cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';

/** A stored connection: an address and its token, in a file that only its owner can read. */
export interface Profile {
  readonly url: string;
  readonly token: string;
  /** The token may cross a network unencrypted. */
  readonly allowHttp: boolean;
}

/** A file holds either the token, or the token file's path, relative to itself. */
const fileShape = z.strictObject({
  url: z.url(),
  token: z.string().optional(),
  tokenFile: z.string().min(1).optional(),
  allowHttp: z.boolean().default(false),
});
const fileForm = '{"url","token"} or {"url","tokenFile"}';

/** The connection to the story of `npm start`, for a person who has none of their own. */
export const storyProfile = 'story';
export const defaultProfiles = ['cli', storyProfile] as const;

const bytesMax = 64 * 1024;
const othersMay = { read: 0o077, write: 0o022 } as const;

/** More than a claim code has. */
const secretBytesMax = 4_096;

/** `$XDG_CONFIG_HOME/holdfast`, else `~/.config/holdfast`; a relative one does not count. */
export function profileDirectory(home: string, xdgConfigHome: string | undefined): string {
  return join(xdgConfigHome?.startsWith('/') ? xdgConfigHome : join(home, '.config'), 'holdfast');
}

/** @throws CliError `not-configured` if it is no name of a profile */
export function pathOfProfile(directory: string, name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,39}$/.test(name)) return join(directory, `${name}.json`);
  throw new CliError('not-configured', cliTexts.noName(name), cliTexts.noNameNext);
}

export function profileExists(directory: string, name: string): boolean {
  return existsSync(pathOfProfile(directory, name));
}

/**
 * @throws CliError `not-configured`, `file-unreadable`, `config-not-yours`, `config-open-to-others`, `token-unusable`
 */
export function readProfile(path: string): Profile {
  const absolute = resolve(path);
  const file = fileOf(absolute, readOwn(absolute, 'config'));
  const token = file.token ?? readTokenFile(resolve(dirname(absolute), file.tokenFile ?? ''));
  return { url: file.url, token: usable(token, absolute), allowHttp: file.allowHttp };
}

/** A profile of the person's own directory, in which nobody else may put one. @throws as {@link readProfile} */
export function readStored(directory: string, name: string): Profile {
  requireOwn(directory, statSync(directory, { throwIfNoEntry: false }), othersMay.write, 'config');
  return readProfile(pathOfProfile(directory, name));
}

function fileOf(path: string, text: string): z.infer<typeof fileShape> {
  try {
    const found: unknown = parseWritten(text);
    const unknown = unknownFieldsText(unknownFields(fileShape, found));
    if (unknown !== '') throw new CliError('not-configured', `${path}: ${unknown}`, cliTexts.storeAgainNext);
    const file = fileShape.parse(found);
    if ((file.token === undefined) !== (file.tokenFile === undefined)) return file;
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
  }
  throw new CliError('not-configured', cliTexts.otherForm(path, fileForm), cliTexts.storeAgainNext);
}

/** @throws CliError `file-unreadable`, `token-file-open-to-others`, `token-unusable` */
export function readTokenFile(path: string): string {
  return usable(path === '-' ? readFileSync(0, 'utf8') : readOwn(resolve(path), 'token-file'), path);
}

/** One line that fits into a header, so that a wrong file is sent to nobody. */
function usable(text: string, path: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]{1,200}$/.test(token)) return token;
  throw new CliError('token-unusable', cliTexts.noTokenInFile(path), cliTexts.noTokenInFileNext);
}

/** Checks owner and mode of the opened file, so that nobody can exchange it between the check and the read. */
function readOwn(path: string, what: 'config' | 'token-file'): string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new CliError('file-unreadable', cliTexts.unreadable(path), cliTexts.unreadableNext, { cause });
  }
  try {
    const facts = fstatSync(file);
    if (!facts.isFile()) throw new CliError('file-unreadable', cliTexts.notRegular(path), cliTexts.unreadableNext);
    // It has no secret that others could read.
    if (facts.size === 0)
      throw what === 'config'
        ? new CliError('not-configured', cliTexts.emptyFile(path), cliTexts.storeAgainNext)
        : new CliError('token-unusable', cliTexts.emptyFile(path), cliTexts.noTokenInFileNext);
    requireOwn(path, facts, othersMay.read, what);
    if (facts.size > bytesMax) throw new CliError('token-unusable', cliTexts.tooLarge(path), cliTexts.tooLargeNext);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function requireOwn(
  path: string,
  facts: { readonly uid: number; readonly mode: number } | undefined,
  notFor: number,
  what: 'config' | 'token-file',
): void {
  const user = process.geteuid?.();
  if (facts === undefined || user === undefined) return;
  // A named token file may be the server's, and root may name it; a file that was found by itself must be one's own.
  if (facts.uid !== user && (what === 'config' || (user !== 0 && facts.uid !== 0))) {
    throw new CliError(`${what}-not-yours`, cliTexts.fileOfAnother(path, facts.uid, user), cliTexts.fileOfAnotherNext);
  }
  if ((facts.mode & notFor) === 0) return;
  const wanted = notFor === othersMay.write ? 'go-w' : 'go=';
  throw new CliError(
    `${what}-open-to-others`,
    cliTexts.openToOthers(notFor === othersMay.write, path),
    cliTexts.openToOthersNext(wanted, path),
  );
}

/**
 * Writes a secret to a new file that nobody else can read. The file is made first: a secret that was made and then not
 * written may have replaced another one. Without a secret the file is removed.
 * @throws CliError `file-not-written`, and whatever `secret` throws
 */
export async function writeSecret(path: string, secret: () => Promise<string>): Promise<void> {
  const file = orNotWritten(path, () => openSync(path, 'wx', 0o600));
  try {
    // The room for it first, so that no secret is made for a full disk.
    orNotWritten(path, () => {
      writeSync(file, Buffer.alloc(secretBytesMax, '\n'));
      fsyncSync(file);
    });
    const text = Buffer.from(await secret());
    orNotWritten(path, () => {
      writeSync(file, text, 0, text.length, 0);
      ftruncateSync(file, text.length);
    });
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function orNotWritten<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (cause) {
    const problem = systemProblem(cause);
    if (problem === null) throw cause;
    const { message, next } = problem;
    const text = message.includes(path) ? cliTexts.nothingWritten(message) : cliTexts.notWritten(path, message);
    throw new CliError('file-not-written', text, next, { cause });
  }
}

/** Whole or not at all; directory and file are for nobody else. */
export function writeProfile(path: string, profile: Profile): string {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  requireOwn(directory, statSync(directory), othersMay.write, 'config');
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  const { url, token, allowHttp } = profile;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    fchmodSync(file, 0o600);
    writeFileSync(file, `${JSON.stringify({ url, token, ...(allowHttp ? { allowHttp } : {}) }, null, 2)}\n`);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  return path;
}
