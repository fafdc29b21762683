import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';

const loadedShape = z.object({ urls: z.array(z.string()), cpu: z.object({ user: z.number(), system: z.number() }) });
const preload = join(import.meta.dirname, 'main.ts');
const patienceMs = 60_000;

export interface Loaded {
  /** Packages that are in what was loaded, by the comments that esbuild leaves before each file. */
  readonly packages: ReadonlySet<string>;
  /** What of Node was imported, as `node:http`. */
  readonly ofNode: ReadonlySet<string>;
  readonly stdout: string;
}

/** Runs an emitted program to its end. @returns what the real process loaded */
export async function loadedBy(node: string, args: readonly string[]): Promise<Loaded> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-loaded-'));
  const file = join(directory, 'loaded.json');
  try {
    const { stdout } = await execa(node, ['--import', preload, ...args], {
      env: { HOLDFAST_TEST_LOADED: file },
      timeout: patienceMs,
    });
    const { urls } = loadedShape.parse(JSON.parse(readFileSync(file, 'utf8')));
    const texts = urls
      .filter((url) => url.startsWith('file:') && url.endsWith('.js'))
      .map((url) => readFileSync(fileURLToPath(url), 'utf8'));
    const names = texts.flatMap((text) => [...text.matchAll(/^\/\/ node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm)]);
    return {
      packages: new Set(names.map(([, name = '']) => name)),
      ofNode: new Set(urls.filter((url) => url.startsWith('node:'))),
      stdout,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
