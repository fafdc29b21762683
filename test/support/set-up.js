// Runs before every npm script, on whatever Node the machine has (20 or newer) and without a single dependency:
// installs what package-lock.json names when that is not what node_modules holds.
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A second script waits for the first one's installation as long as a slow line may need. */
const waitMaxMs = 15 * 60 * 1000;
/** The owner touches its lock this often; one that nobody touched for so long belongs to a process that is gone. */
const beatMs = 1_000;
const silentMaxMs = 15_000;
/** How often the progress line is drawn. */
const drawMs = 250;
/** Lines of npm's log that a failure shows, from its head and from its tail; the log itself stays. */
const logLinesShown = 40;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const modules = join(root, 'node_modules');
const marker = join(modules, '.set-up');
const lock = join(root, '.holdfast', 'set-up.lock');

function wantedMark() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

function isDone(mark) {
  return existsSync(marker) && readFileSync(marker, 'utf8') === mark && existsSync(join(modules, '.bin', 'node'));
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error.code === 'EPERM') return true;
    if (error.code === 'ESRCH') return false;
    throw error;
  }
}

/** @returns {{ owner: string, touched: number } | null} null when nobody holds the lock */
function readLock() {
  try {
    return { owner: readFileSync(lock, 'utf8'), touched: statSync(lock).mtimeMs };
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function tryLock(owner) {
  const mine = `${lock}.${randomUUID()}`;
  writeFileSync(mine, owner);
  try {
    linkSync(mine, lock); // the name appears together with its content, or not at all
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(mine);
  }
}

/** Moves a dead owner's lock away; gives it back when another waiter was faster and it is a living one's by now. */
function breakLock(deadOwner) {
  const away = `${lock}.${randomUUID()}`;
  try {
    renameSync(lock, away);
    if (readFileSync(away, 'utf8') !== deadOwner) linkSync(away, lock);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(away, { force: true });
  }
}

/** @returns {Promise<boolean>} true: this process installs; false: another one has done it meanwhile */
async function takeLock(owner, mark) {
  mkdirSync(dirname(lock), { recursive: true });
  const start = performance.now();
  let seen = { owner: '', touched: 0, since: start };
  while (performance.now() - start < waitMaxMs) {
    if (tryLock(owner)) {
      if (!isDone(mark)) return true;
      rmSync(lock);
      return false;
    }
    const held = readLock();
    if (held !== null) {
      if (held.owner !== seen.owner || held.touched !== seen.touched) seen = { ...held, since: performance.now() };
      const silentMs = performance.now() - seen.since;
      if (!isAlive(Number.parseInt(held.owner, 10)) || silentMs > silentMaxMs) breakLock(held.owner);
    }
    await pause(drawMs);
  }
  throw new Error(
    `another set-up has held ${lock} for ${waitMaxMs / 60_000} minutes; end it, remove that file, and start again`,
  );
}

function packageNames() {
  const listed = Object.entries(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages);
  return listed.filter(([path, entry]) => path !== '' && entry.optional !== true).map(([path]) => join(root, path));
}

/** One line: rewritten in place on a terminal, written once otherwise. On standard error, which no report uses. */
function progressLine() {
  const { stderr } = process;
  const names = packageNames();
  const start = performance.now();
  const text = () => {
    const there = names.filter((path) => existsSync(join(path, 'package.json'))).length;
    return `Setting up: ${there} of ${names.length} packages, ${Math.round((performance.now() - start) / 1000)} s`;
  };
  if (!stderr.isTTY) {
    stderr.write(`Setting up: installing the ${names.length} packages that package-lock.json names …\n`);
    return { end: () => undefined };
  }
  const timer = setInterval(() => stderr.write(`\r\u001b[2K${text()}`), drawMs);
  return {
    end: (word) => {
      clearInterval(timer);
      stderr.write(`\r\u001b[2K${text()}: ${word}.\n`);
    },
  };
}

/** Without the Node of node_modules in front: npm may replace that while it runs. */
function pathWithoutModules() {
  const own = join(modules, '.bin');
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => resolve(entry) !== own)
    .join(delimiter);
}

/**
 * Not `npm ci`: that refuses a lock file made where the registry lacks the packages of other platforms. This takes
 * exactly what the lock file names too, and a test keeps package.json and the lock file in step.
 * @returns {Promise<number>} npm's exit status, 128 + n after signal n
 */
function runNpm(log) {
  return new Promise((done, fail) => {
    const environment = { ...process.env, PATH: pathWithoutModules() };
    const args = ['install', '--no-save', '--loglevel=error'];
    const child = spawn('npm', args, { cwd: root, stdio: ['ignore', log, log], env: environment });
    child.on('error', fail);
    child.on('exit', (code, signal) => done(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/** npm does not link a project's own commands; with these, `npx` finds them at once and they run on our Node. */
function linkCommands() {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const [name, target] of Object.entries(bin ?? {})) {
    const path = join(modules, '.bin', name);
    rmSync(path, { force: true });
    symlinkSync(join('..', '..', target), path);
    if (existsSync(join(root, target))) chmodSync(join(root, target), 0o755);
  }
}

function showFailure(logPath, status) {
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n');
  const left = lines.length - 2 * logLinesShown;
  if (left > 0) lines.splice(logLinesShown, left, `… ${left} more lines`);
  process.stderr.write(
    `${lines.join('\n')}\n\nSet-up failed: npm install ended with ${status}. Nothing was started.\n`,
  );
  process.stderr.write(`The whole log is ${logPath}. Mend what it says, then run the same command again.\n`);
}

async function install(mark) {
  // What an interrupted installation left cannot be trusted; a whole one of another lock file is changed in place.
  if (existsSync(marker)) rmSync(marker);
  else rmSync(modules, { recursive: true, force: true });
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-set-up-'));
  const logPath = join(directory, 'npm.log');
  const log = openSync(logPath, 'w');
  const line = progressLine();
  const beat = setInterval(() => utimesSync(lock, new Date(), new Date()), beatMs);
  try {
    const status = await runNpm(log);
    line.end(status === 0 ? 'done' : 'failed');
    if (status === 0) {
      linkCommands();
      writeFileSync(`${marker}.tmp`, mark);
      renameSync(`${marker}.tmp`, marker); // last: without it, the next start installs again
      rmSync(directory, { recursive: true });
      return 0;
    }
    showFailure(logPath, status);
    return status;
  } finally {
    clearInterval(beat);
    closeSync(log);
  }
}

async function setUp() {
  const mark = wantedMark();
  if (isDone(mark)) return 0;
  const owner = `${process.pid} ${randomUUID()}`;
  if (!(await takeLock(owner, mark))) return 0;
  const release = () => {
    if (readLock()?.owner === owner) rmSync(lock, { force: true });
  };
  process.on('exit', release);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  return await install(mark);
}

process.exitCode = await setUp();
