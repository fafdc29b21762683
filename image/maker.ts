import { existsSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { execa } from 'execa';
import { cut } from '../protocol/text.ts';
import { ImageError } from './errors.ts';
import { buildTexts } from './texts.ts';

/** The module that a maker's directory begins with. */
const entries = ['index.ts', 'index.js'] as const;
const describeTimeoutMs = 120_000;

export interface MakerInput {
  /** The agent's source, with its packages. */
  readonly sourceDir: string;
  /** The maker's directory. */
  readonly makerDir: string;
  /** Where the program is. */
  readonly outDir: string;
  /** The Node binary that the module is described on. */
  readonly node: string;
  readonly options: BuildOptions;
}

/**
 * Adds a maker's module to a built agent: `maker.js`, with the packages that it imports, `maker.json`, which says what it
 * defines, and its `assets/`.
 * @returns the files that went in, relative to the source
 * @throws ImageError `maker-invalid`
 */
export async function emitMaker({ sourceDir, makerDir, outDir, node, options }: MakerInput): Promise<string[]> {
  const entry = entries.map((name) => join(makerDir, name)).find((path) => existsSync(path));
  if (entry === undefined) {
    throw new ImageError('maker-invalid', buildTexts.makerEmpty(makerDir, entries.join(', ')), buildTexts.makerNext);
  }
  const inputs = await bundled({
    ...options,
    entryPoints: { maker: resolve(entry) },
    outdir: outDir,
    alias: { 'holdfast/agent': join(sourceDir, 'agent', 'maker', 'index.ts') },
    // Packages that the maker has not installed themselves, such as zod, are the agent's.
    nodePaths: [join(sourceDir, 'node_modules')],
  });
  await writeFile(join(outDir, 'maker.json'), await described(sourceDir, join(outDir, 'maker.js'), node));
  const assets = join(makerDir, 'assets');
  // A payload holds files and directories only: what a link leads to is what its maker means.
  if (existsSync(assets)) await cp(assets, join(outDir, 'assets'), { recursive: true, dereference: true });
  return inputs;
}

async function bundled(options: BuildOptions): Promise<string[]> {
  try {
    const { metafile } = await build(options);
    return Object.keys(metafile?.inputs ?? {});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError('maker-invalid', buildTexts.makerBroken(cut(reason, 2_000)), buildTexts.makerNext, { cause });
  }
}

/** Runs the module once, where it can harm nobody, and asks what it defines. */
async function described(sourceDir: string, module: string, node: string): Promise<string> {
  const program = join(sourceDir, 'agent', 'maker', 'describe.ts');
  const result = await execa(node, [program, pathToFileURL(module).href], {
    env: { NODE_OPTIONS: '' },
    stdin: 'ignore',
    timeout: describeTimeoutMs,
    reject: false,
  });
  if (!result.failed) return `${result.stdout.trim()}\n`;
  const reason = cut(`${result.stderr}`.trim(), 2_000) || result.shortMessage;
  throw new ImageError('maker-invalid', buildTexts.makerBroken(reason), buildTexts.makerNext);
}
