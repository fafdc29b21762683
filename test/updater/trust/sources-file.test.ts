import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { readSourcesFile } from '../../../updater/trust/sources.ts';

it.each([
  ['missing', () => undefined, 'it is not there'],
  ['a directory', (path: string) => mkdirSync(path), 'it is no file'],
  [
    'JSON but for one comma',
    (path: string) => writeFileSync(path, '{"proxy": null,}'),
    'it is not JSON: look for a comma',
  ],
])('a file of sources that is %s is refused for that reason', (_what, make, why) => {
  const directory = mkdtempSync(join(tmpdir(), 'hf-sources-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'sources.json');
  make(path);
  expect(readSourcesFile(realFiles, path)).toEqual({ why: expect.stringContaining(why) });
});
