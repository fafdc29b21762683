import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { readSources, type SourceFile } from './source.ts';

/** A tree of files in a temporary directory that goes with the test. @returns its root */
export function plantTree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-house-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** The sources of a planted tree, as the rules read those of the checkout. */
export function plantSources(files: Readonly<Record<string, string>>): SourceFile[] {
  return readSources(plantTree(files));
}
