import { accessSync } from 'node:fs';
import { join } from 'node:path';
import { startTexts } from './texts.ts';

/** All that may stop the server from starting: what it needs and cannot make anew. */
export type StartErrorCode =
  | 'address-in-use'
  | 'address-not-usable'
  | 'backup-damaged'
  | 'backup-exists'
  | 'backup-failed'
  | 'backup-inside-data'
  | 'backup-not-found'
  | 'data-directory-in-use'
  | 'data-directory-not-empty'
  | 'data-directory-shared'
  | 'database-busy'
  | 'database-damaged'
  | 'data-not-accessible'
  | 'database-too-new'
  | 'disk-full'
  | 'key-damaged'
  | 'no-data'
  | 'not-a-file'
  | 'restore-unfinished'
  | 'tls-invalid'
  | 'token-file-not-written';

/** Why the server, or a command on its data, did not start, and what a person does next. */
export class StartError extends Error {
  readonly code: StartErrorCode;
  readonly next: string;
  constructor(code: StartErrorCode, message: string, next: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.next = next;
  }
}

/** @throws StartError `no-data`; `data-not-accessible` if this user cannot look there, or cannot write the data */
export function requireData(data: string, mode: number): void {
  const path = join(data, 'server.db');
  try {
    accessSync(path, mode);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new StartError('no-data', startTexts.noData(data), startTexts.noDataNext);
    const next = startTexts.dataNotAccessibleNext;
    throw new StartError('data-not-accessible', startTexts.dataNotAccessible(path, code), next, { cause });
  }
}

/** @param path of the file that could not be written */
export function diskFullError(cause: unknown, path: string): StartError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StartError('disk-full', startTexts.diskFull(path, why), startTexts.diskFullNext(path), { cause });
}

const listenNext: Readonly<Record<string, string>> = {
  EACCES: startTexts.portNotAllowedNext,
  EADDRNOTAVAIL: startTexts.addressNotHereNext,
  ENOTFOUND: startTexts.addressNotHereNext,
};

/** Why the server cannot listen where it was told to. */
export function listenError(cause: unknown, host: string, port: number): StartError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const where = startTexts.listenOn(host, port);
  if (code === 'EADDRINUSE') {
    return new StartError('address-in-use', startTexts.portTaken(where), startTexts.portTakenNext, { cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  const next = listenNext[code] ?? startTexts.listenNext;
  return new StartError('address-not-usable', startTexts.listenRefused(where, why), next, { cause });
}
