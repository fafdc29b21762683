import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A program of this checkout in one piece: to read two hundred sources and their packages one by one takes a short
 * command longer than what it does. The piece is kept with the tools of the checkout, beside the list of what it was made
 * from. When a source or the packages have changed, it is made again; where it cannot be made, the sources run.
 */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const place = join(root, 'node_modules', '.cache', 'commands');
/** npm writes it whenever it changes a package. */
const packages = join('node_modules', '.package-lock.json');
/** Native, or read files of their own that would not lie beside the piece. */
const external = ['better-sqlite3', 'esbuild', 'fastify', 'pino'];
/** Packages in CommonJS still ask for these. */
const banner = [
  "import { createRequire as holdfastCreateRequire } from 'node:module';",
  'const require = holdfastCreateRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('\n');

/** A piece that is no longer the newest stays this long: a command may be about to load it. */
const keptMs = 3_600_000;

/**
 * @param {string} program path of its source, from the root of the checkout
 * @returns {Promise<string>} the absolute path of what is to run: the piece, or the source
 */
export async function pieceOf(program) {
  const name = program.replaceAll(/[^a-z]+/g, '-');
  try {
    return freshPiece(name) ?? (await make(program, name));
  } catch (error) {
    if (!(error instanceof Error && ('code' in error || 'errors' in error))) throw error;
    return join(root, program); // a closed or full directory, or a source that says itself what is wrong with it
  }
}

/** What changes with each change of a file; null: it is gone. */
function markOf(path) {
  const facts = statSync(join(root, path), { throwIfNoEntry: false });
  return facts === undefined ? null : `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
}

/** null: there is none, or one of its sources has changed */
function freshPiece(name) {
  try {
    const { directory, marks } = JSON.parse(readFileSync(join(place, `${name}.json`), 'utf8'));
    const piece = join(place, directory, 'main.js');
    return existsSync(piece) && Object.entries(marks).every(([path, mark]) => markOf(path) === mark) ? piece : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || isMissing(error)) return null;
    throw error;
  }
}

const isMissing = (error) => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** Each has a directory of its own, so that every process that loads one finds it complete. @returns the path of the piece */
async function make(program, name) {
  mkdirSync(place, { recursive: true });
  const { build } = await import('esbuild');
  const beganMs = Date.now();
  const made = mkdtempSync(join(place, `${name}.`));
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: program },
    outdir: made,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    external,
    banner: { js: banner },
    plugins: [whereItLies],
  }).catch((error) => {
    rmSync(made, { recursive: true, force: true });
    throw error;
  });
  writeFileSync(join(made, 'package.json'), '{ "type": "module" }\n');
  // For every user of this machine, as the sources are.
  chmodSync(made, 0o755);
  const sources = Object.keys(metafile.inputs).filter((path) => !path.startsWith('node_modules'));
  // What changed meanwhile may be in it or not: it is used this once.
  if (Math.max(...sources.map((path) => statSync(join(root, path)).mtimeMs)) < beganMs) {
    const marks = Object.fromEntries([...sources, 'package.json', packages].map((path) => [path, markOf(path)]));
    const list = join(made, 'made-from.json');
    writeFileSync(list, JSON.stringify({ directory: basename(made), marks }));
    renameSync(list, join(place, `${name}.json`));
  }
  removeOld(name, made);
  return join(made, 'main.js');
}

function removeOld(name, newest) {
  for (const entry of readdirSync(place)) {
    const path = join(place, entry);
    if (!entry.startsWith(`${name}.`) || entry.endsWith('.json') || path === newest) continue;
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts !== undefined && facts.mtimeMs < Date.now() - keptMs) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * A source asks where it lies, and not where the piece does. And zod exports its namespace by a name, of which nothing
 * can be left out; a namespace import keeps only what is used.
 */
const whereItLies = {
  name: 'where-it-lies',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const source = await readFile(path, 'utf8');
      const contents = source
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';");
      return { contents, loader: 'ts' };
    });
  },
};
