import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOptions, bundle, emitProgram, prepareEmpty, writeModuleMark } from './emit.ts';
import { ImageError } from './errors.ts';
import { committedAt } from './source-commit.ts';
import { buildTexts } from './texts.ts';

export interface OsInput {
  readonly sourceDir: string;
  readonly outDir: string;
  readonly version: string;
  readonly commit: string;
  /** The runtime that launch and the updater run on. */
  readonly node: string;
}

export interface OsFiles {
  readonly launch: string;
  readonly updaterDir: string;
  readonly node: string;
}

/**
 * What the operating system's image ships: `launch.js`, `updater/` (the payload that `setup` installs as factory, and
 * runs from) and `node`.
 * @throws ImageError
 */
export async function emitOs(input: OsInput): Promise<OsFiles> {
  const { sourceDir, outDir, version, commit } = input;
  await prepareEmpty(outDir);
  const files: OsFiles = {
    launch: join(outDir, 'launch.js'),
    updaterDir: join(outDir, 'updater'),
    node: join(outDir, 'node'),
  };
  await mkdir(files.updaterDir);
  await copyFile(input.node, files.node);
  await emitLaunch(sourceDir, files.launch);
  await writeModuleMark(outDir, 'commonjs');
  await emitProgram({
    component: 'updater',
    sourceDir,
    outDir: files.updaterDir,
    version,
    commit,
    builtAt: await committedAt(sourceDir),
    node: files.node,
  });
  return files;
}

/**
 * launch runs as root before everything else: one file, which contains only our source and Node. It is a script,
 * because each start of the agent waits for it, and Node takes ten milliseconds more to start a module.
 */
async function emitLaunch(sourceDir: string, outfile: string): Promise<void> {
  const metafile = await bundle({
    ...buildOptions(sourceDir),
    format: 'cjs',
    define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
    entryPoints: [join('updater', 'launch', 'main.ts')],
    outfile,
  });
  const foreign = [
    ...Object.keys(metafile.inputs).filter((path) => path.includes('node_modules')),
    ...Object.values(metafile.outputs).flatMap(({ imports }) =>
      imports.map(({ path }) => path).filter((path) => !path.startsWith('node:')),
    ),
  ];
  if (foreign.length === 0) return;
  throw new ImageError('build-failed', buildTexts.launchImports(foreign.join(', ')), buildTexts.launchImportsNext);
}
