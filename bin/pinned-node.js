import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { pieceOf } from './bundled.js';

/**
 * Runs a program of this checkout on the Node that package-lock.json pins, whatever Node started this file, because an
 * older one cannot read the sources. So this file and its neighbours are plain JavaScript for Node 20.
 */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const compiled = pathToFileURL(join(root, 'bin', 'compiled.js')).href;
const pinned = join(root, 'node_modules', 'node', 'bin', 'node');
/** Node reads the sources directly from this version on. */
const readsSources = 24;
const passedOn = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'];

/**
 * @param {string} program path of its source, from the root of the checkout
 * @returns {Promise<void>} when the program was loaded or, if it had to be started, has ended
 */
export async function runOnPinnedNode(program) {
  const path = await pieceOf(program);
  if (Number.parseInt(process.versions.node, 10) >= readsSources) {
    await import('./compiled.js');
    await import(pathToFileURL(path).href);
  } else process.exitCode = await runStarted(path);
}

/** @returns {Promise<number>} its exit status; 128 plus the number of the signal that ended it, as in a shell */
function runStarted(path) {
  return new Promise((done) => {
    const child = spawn(pinned, ['--import', compiled, path, ...process.argv.slice(2)], { stdio: 'inherit' });
    for (const signal of passedOn) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => {
      process.stderr.write(
        `runtime-missing: ${pinned} cannot be started: ${error.message}\nNext: set up what is missing with npm install, in ${root}\n`,
      );
      done(1);
    });
    child.on('exit', (code, signal) => done(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}
