import { mkdirSync, openSync, rmSync } from 'node:fs';
import { type Files, realFiles } from './files.ts';

/**
 * For a directory that nothing has to outlive, in a Node process that may write only there: its permission model
 * (`--permission`) refuses operations on open files (fsync, fchmod), and every path below /proc.
 */
export const scratchFiles: Files = {
  ...realFiles,
  create: (path, mode) => openSync(path, 'wx+', mode),
  removeTree: (path) => rmSync(path, { recursive: true, force: true }),
  makeDirectory: (path, mode) => {
    if (realFiles.stat(path)?.kind !== 'directory') mkdirSync(path, { mode });
  },
  sync: () => undefined,
  syncDirectory: () => undefined,
};
