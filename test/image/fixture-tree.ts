import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const checkout = resolve(import.meta.dirname, '../..');
/** The Node that the tests run on, which is the one that programs are built for. */
export const nodeBinary = process.execPath;

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'hf-image-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function writeTree(root: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

/** Small programs with what real ones have: a package in CommonJS, the native module, a part that is loaded late. */
const programs = {
  'agent/main.ts': `
    import { readFileSync } from 'node:fs';
    import { join } from 'node:path';
    import Database from 'better-sqlite3';
    import { pino } from 'pino';
    import { greeting } from '../protocol/greeting.ts';
    const release: { version: string } = JSON.parse(readFileSync(join(import.meta.dirname, 'release.json'), 'utf8'));
    if (process.argv.includes('--version')) console.log(release.version);
    else if (process.argv.includes('--late')) console.log((await import('./late.ts')).late);
    else console.log(greeting, new Database(':memory:').prepare('select 1 + 1 as two').get(), typeof pino);
  `,
  'agent/late.ts': `export const late: string = 'loaded late';`,
  'agent/migrations.ts': 'export const stateSchema: number = 3;',
  'updater/main.ts': `
    import { readFileSync } from 'node:fs';
    import { join } from 'node:path';
    console.log(JSON.parse(readFileSync(join(import.meta.dirname, 'release.json'), 'utf8')).version);
  `,
  'updater/launch/main.ts': `
    import { basename } from 'node:path';
    import { greeting } from '../../protocol/greeting.ts';
    console.log(greeting, basename(import.meta.filename));
  `,
  'protocol/greeting.ts': `export const greeting: string = 'hello';\n`,
  'package.json': '{"name":"fixture","version":"9.9.9","type":"module"}',
};

/** A source tree like the checkout's, with its packages; `changes` replaces files. */
export async function fixtureTree(root: string, changes: Readonly<Record<string, string>> = {}): Promise<string> {
  await writeTree(root, { ...programs, ...changes });
  await symlink(join(checkout, 'node_modules'), join(root, 'node_modules'), 'dir');
  return root;
}
