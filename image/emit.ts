import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { type Digest, sha256 } from '../protocol/digest.ts';
import { cut } from '../protocol/text.ts';
import { ImageError } from './errors.ts';
import { emitMaker } from './maker.ts';
import { billOfMaterials, packageDirectories } from './sbom.ts';
import { buildTexts } from './texts.ts';

/** The components that are built from this repository's own source. */
export type ProgramComponent = 'app' | 'updater';

/** release.json, beside the program: its answer to `--version`. */
export interface Release {
  readonly component: ProgramComponent;
  readonly version: string;
  readonly commit: string;
  /** When the source was committed, in seconds since 1970: trusted time never begins before that. */
  readonly builtAt?: number;
}

export interface EmitInput extends Release {
  /** A tree with `agent/`, `updater/`, `protocol/` and `node_modules/`: the checkout, or what `patchedSource` made. */
  readonly sourceDir: string;
  /** Must be empty or missing. */
  readonly outDir: string;
  /** The directory of a maker's own work, for an agent; null or absent: none. */
  readonly makerDir?: string | null;
  /** The Node binary that runs the result as a proof. */
  readonly node: string;
}

export interface Program {
  readonly entry: string;
  readonly sbom: Digest;
}

/** A start that only prints the version takes a fraction of a second, but a build machine may be busy. */
const versionTimeoutMs = 120_000;

const native = 'better-sqlite3';
const folders: Readonly<Record<ProgramComponent, string>> = { app: 'agent', updater: 'updater' };

/** CommonJS inside an ES module still asks for these. */
const commonJsBanner = [
  "import { createRequire as holdfastCreateRequire } from 'node:module';",
  'const require = holdfastCreateRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('\n');

/**
 * zod exports its namespace by a name, and esbuild keeps everything that such a name may reach: every language's
 * messages, half a megabyte that each start would read. A namespace import keeps only what the source uses.
 */
const onlyWhatIsUsed: Plugin = {
  name: 'only-what-is-used',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const source = await readFile(path, 'utf8');
      return { contents: source.replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';"), loader: 'ts' };
    });
  },
};

/** Options of every program's build. Packages keep their own names, so that stack traces stay readable. */
export function buildOptions(sourceDir: string): BuildOptions {
  return {
    absWorkingDir: sourceDir,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    // A copy of the tree reaches its packages through a link; without this, their real path would be in the output.
    preserveSymlinks: true,
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'silent',
    metafile: true,
    plugins: [onlyWhatIsUsed],
  };
}

/**
 * Turns a program's source into what a slot runs: `main.js` and its parts, `release.json`, `sbom.json`, and the native
 * module if it is used. The same tree gives the same bytes, wherever it lies. Finally the result must report the
 * declared version.
 * @throws ImageError `build-failed`, `version-mismatch`, `payload-invalid`
 */
export async function emitProgram(input: EmitInput): Promise<Program> {
  await prepareEmpty(input.outDir);
  const { sourceDir, outDir } = input;
  const folder = folders[input.component];
  // The field page is a process of its own, from the updater's slot.
  const page = join(folder, 'page', 'main.ts');
  const { makerDir = null, node } = input;
  // A duty of a maker runs in a thread, from the agent's slot.
  const thread = join(folder, 'threads', 'thread.ts');
  const entryPoints = {
    main: join(folder, 'main.ts'),
    ...(existsSync(join(sourceDir, page)) ? { page } : {}),
    ...(makerDir === null ? {} : { thread }),
  };
  const options: BuildOptions = { ...buildOptions(sourceDir), banner: { js: commonJsBanner }, external: [native] };
  const metafile = await bundle({
    ...options,
    entryPoints,
    outdir: outDir,
    splitting: true,
    // Beside main.js, so that import.meta.dirname is the slot in every part.
    chunkNames: 'part-[hash]',
  });
  const made = makerDir === null ? [] : await emitMaker({ sourceDir, makerDir, outDir, node, options });
  const packages = [...packageDirectories([...Object.keys(metafile.inputs), ...made])];
  if (usesNative(metafile)) {
    await copyNative(sourceDir, outDir);
    packages.push(`node_modules/${native}`);
  }
  const { component, version, commit, builtAt } = input;
  const release: Release = { component, version, commit, ...(builtAt === undefined ? {} : { builtAt }) };
  const sbom = await billOfMaterials(sourceDir, packages, release);
  await writeFile(join(outDir, 'sbom.json'), sbom);
  await writeFile(join(outDir, 'release.json'), `${JSON.stringify(release)}\n`);
  await writeModuleMark(outDir, 'module');
  await requireVersion(input);
  return { entry: 'main.js', sbom: sha256(sbom) };
}

/** @throws ImageError `build-failed` with esbuild's words */
export async function bundle(options: BuildOptions): Promise<Metafile> {
  try {
    const { metafile } = await build(options);
    if (metafile === undefined) throw new TypeError('esbuild was not asked for its metafile');
    return metafile;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError('build-failed', buildTexts.sourceBroken(reason), buildTexts.sourceBrokenNext, { cause });
  }
}

/** Without it Node would read each file twice to find out its type. */
export async function writeModuleMark(directory: string, type: 'module' | 'commonjs'): Promise<void> {
  await writeFile(join(directory, 'package.json'), `${JSON.stringify({ private: true, type })}\n`);
}

/** Parts that an earlier build left behind would be shipped. */
export async function prepareEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length === 0) return;
  throw new ImageError('payload-invalid', buildTexts.notEmpty(directory), buildTexts.notEmptyNext);
}

function usesNative(metafile: Metafile): boolean {
  return Object.values(metafile.outputs).some(({ imports }) =>
    imports.some((imported) => imported.external === true && imported.path === native),
  );
}

/** Copies the module's JavaScript and the binary for this architecture (glibc), without its C sources. */
async function copyNative(sourceDir: string, outDir: string): Promise<void> {
  const from = join(sourceDir, 'node_modules', native);
  const to = join(outDir, 'node_modules', native);
  const binary = join('prebuilds', `linux-${process.arch}.node`);
  await mkdir(join(to, 'prebuilds'), { recursive: true });
  await cp(join(from, 'package.json'), join(to, 'package.json'));
  await cp(join(from, 'lib'), join(to, 'lib'), { recursive: true });
  await cp(join(from, binary), join(to, binary));
}

/** Refuses a release whose content reports another version: somebody raised the wrong one. */
async function requireVersion({ outDir, node, version }: EmitInput): Promise<void> {
  const result = await execa(node, ['main.js', '--version'], {
    cwd: outDir,
    env: { NODE_OPTIONS: '' },
    stdin: 'ignore',
    timeout: versionTimeoutMs,
    reject: false,
  });
  if (result.failed) {
    const reason = cut(`${result.stderr}`.trim(), 600) || result.shortMessage;
    throw new ImageError('build-failed', buildTexts.programBroken(reason), buildTexts.programBrokenNext);
  }
  if (result.stdout.trim() === version) return;
  throw new ImageError(
    'version-mismatch',
    buildTexts.otherVersion(JSON.stringify(result.stdout.trim().slice(0, 80)), version),
    buildTexts.otherVersionNext,
  );
}
