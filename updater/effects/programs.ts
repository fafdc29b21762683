export interface ProgramEnd {
  /** null: it was killed or could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The first line of its complaint, or why it could not be started. */
  readonly complaint: string;
}

/** Runs a program of the operating system by its full path, without a shell and without our environment. */
export type RunProgram = (path: string, args: readonly string[], timeoutMs: number) => Promise<ProgramEnd>;

/** The runtime that this program runs on: the operating system's. */
export const ownRuntime = process.execPath;

const outputBytesMax = 1024 * 1024;

export const runProgram: RunProgram = (path, args, timeoutMs) =>
  new Promise((resolve) => {
    const { execFile } = process.getBuiltinModule('node:child_process');
    const env = { LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' };
    const options = { env, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: outputBytesMax } as const;
    execFile(path, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      const complaint = stderr.trim().split('\n')[0] ?? '';
      resolve({ code, stdout, stderr, complaint: complaint === '' && error !== null ? error.message : complaint });
    });
  });
