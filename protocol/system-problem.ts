/** What the system refused to a person, with the next step. */
export interface SystemProblem {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

const known: Readonly<Record<string, { readonly code: string; readonly what: string; readonly next: string }>> = {
  ENOENT: {
    code: 'file-not-found',
    what: 'is not there',
    next: 'check the name, and create the directory if it is missing',
  },
  ENOTDIR: { code: 'not-a-directory', what: 'has a file where a directory is needed', next: 'name a directory' },
  EISDIR: { code: 'not-a-file', what: 'is a directory', next: 'name a file' },
  EACCES: { code: 'not-allowed', what: 'is closed to this user', next: 'ask as root, or as the user that owns it' },
  EPERM: { code: 'not-allowed', what: 'is closed to this user', next: 'ask as root, or as the user that owns it' },
  EEXIST: { code: 'file-exists', what: 'is there already', next: 'name another one' },
  ENOSPC: { code: 'disk-full', what: 'has no room: its disk is full', next: 'make room there, then do the same again' },
  EDQUOT: {
    code: 'disk-full',
    what: 'has no room: its quota is used up',
    next: 'make room there, then do the same again',
  },
  EROFS: { code: 'read-only', what: 'lies on a disk that cannot be written', next: 'look at findmnt and the disk' },
  ELOOP: { code: 'not-a-file', what: 'is a link, or a chain of them', next: 'name what it leads to' },
  ENAMETOOLONG: { code: 'name-too-long', what: 'is too long a name', next: 'name a shorter one' },
};

/** Did the system refuse it, by a call that it names? */
export function isOfSystem(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

/** @returns null: it is not a refusal of the system, but a bug or an error with its own text */
export function systemProblem(error: unknown): SystemProblem | null {
  if (!isOfSystem(error)) return null;
  const at = 'path' in error && typeof error.path === 'string' && error.path !== '' ? error.path : null;
  const problem = known[error.code];
  if (problem !== undefined)
    return { code: problem.code, message: `${at ?? 'what was named'} ${problem.what}`, next: problem.next };
  // `ENOENT: no such file or directory, open …` and `listen EADDRINUSE: …` already contain the code; it is not
  // repeated.
  const words = error.message.replace(new RegExp(`^(?:\\w+ )?${error.code}: `), '');
  return { code: error.code, message: words, next: 'look at that, then do the same again' };
}
