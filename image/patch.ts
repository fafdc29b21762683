import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import { cut } from '../protocol/text.ts';
import { ImageError } from './errors.ts';
import { buildTexts } from './texts.ts';

/** The sources of the programs on an appliance. */
export const sourceParts = ['agent', 'updater', 'protocol', 'package.json'] as const;

export interface PatchInput {
  /** The checkout. */
  readonly sourceDir: string;
  /** A unified diff with paths from the root of the tree (`a/agent/…`); null: the tree as it is. */
  readonly patchFile: string | null;
  /** Missing or empty; it becomes the copy. */
  readonly outDir: string;
}

/**
 * Makes a copy of the source with a patch applied; the copy uses the checkout's packages.
 * @throws ImageError `patch-failed` if any part of the patch does not apply exactly
 */
export async function patchedSource({ sourceDir, patchFile, outDir }: PatchInput): Promise<void> {
  await mkdir(outDir, { recursive: true });
  for (const part of sourceParts) await cp(join(sourceDir, part), join(outDir, part), { recursive: true });
  await symlink(resolve(sourceDir, 'node_modules'), join(outDir, 'node_modules'), 'dir');
  if (patchFile === null) return;
  // Inside a repository git would take the paths as that repository's, and skip the copy silently.
  const env = { GIT_CEILING_DIRECTORIES: dirname(resolve(outDir)) };
  const args = ['apply', '--whitespace=nowarn', '-p1', resolve(patchFile)];
  const result = await execa('git', args, { cwd: outDir, env, reject: false });
  if (!result.failed) return;
  throw new ImageError(
    'patch-failed',
    buildTexts.patchFails(patchFile, cut(`${result.stderr}`.trim(), 600) || result.shortMessage),
    buildTexts.patchFailsNext,
  );
}
