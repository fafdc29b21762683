import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { supervisorTexts } from '../../texts.ts';

/** Starts a command in a mount namespace of its own; an ordinary user is root only there. */
export const ownMounts = [
  '/usr/bin/unshare',
  '--mount',
  ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
] as const;

export class SandboxError extends Error {
  readonly code = 'sandbox-open';
}

/**
 * Does what `ProtectSystem=strict` does: this process and its children can write only to these directories. Must run in
 * a mount namespace of its own (`unshare --mount`), or the whole machine would be read-only.
 * @param elsewhere a directory that must be read-only afterwards
 * @throws SandboxError when it is not
 */
export async function closeAllBut(writable: readonly string[], elsewhere: string): Promise<void> {
  await execa('/usr/bin/mount', ['--make-rprivate', '/']);
  for (const directory of writable) await execa('/usr/bin/mount', ['--bind', directory, directory]);
  await execa('/usr/bin/mount', ['--options', 'remount,bind,ro', '/']);
  const probe = join(elsewhere, '.sandbox-probe');
  try {
    closeSync(openSync(probe, 'wx'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EROFS') return;
    throw error;
  }
  rmSync(probe);
  throw new SandboxError(supervisorTexts.stillWritable(elsewhere));
}
