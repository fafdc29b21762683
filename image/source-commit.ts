import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { sha256 } from '../protocol/digest.ts';
import { sourceParts } from './patch.ts';
import { treeOf } from './tree.ts';

/** Digits that are enough to identify a digest among all builds. */
const shortDigits = 12;

/**
 * Names the source of a build, so that an artefact's source is never lost: the commit, then `+` and the digest of what
 * was changed since or patched in. A tree without history is named by its content.
 */
export async function sourceCommit(sourceDir: string, patchFile: string | null): Promise<string> {
  const changes = patchFile === null ? [] : [await readFile(patchFile)];
  const head = await execa('git', ['rev-parse', '--verify', 'HEAD'], { cwd: sourceDir, reject: false });
  const dirty = await execa('git', ['status', '--porcelain', '--', ...sourceParts], { cwd: sourceDir, reject: false });
  const known = !head.failed && !dirty.failed;
  if (!known || dirty.stdout !== '') changes.push(Buffer.from(await contentOf(sourceDir)));
  const suffix = changes.length === 0 ? '' : `+${sha256(Buffer.concat(changes)).slice(0, shortDigits)}`;
  return `${known ? head.stdout.trim() : 'no-history'}${suffix}`;
}

/** When the source was last committed, in seconds since 1970; 0 for a tree without history. */
export async function committedAt(sourceDir: string): Promise<number> {
  const { failed, stdout } = await execa('git', ['show', '--no-patch', '--format=%ct', 'HEAD'], {
    cwd: sourceDir,
    reject: false,
  });
  return failed ? 0 : Number(stdout.trim());
}

async function contentOf(sourceDir: string): Promise<string> {
  const lines: string[] = [];
  for (const part of sourceParts.filter((name) => !name.endsWith('.json'))) {
    for (const file of (await treeOf(join(sourceDir, part))).files) {
      lines.push(`${sha256(await readFile(file.source))} ${part}/${file.path}\n`);
    }
  }
  return lines.join('');
}
