import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { keepsPromise, promisedSteps } from '../house/readme.ts';
import { checkout } from '../support/world/checkout.ts';
import { patienceMs, until } from '../support/world/wait.ts';

/**
 * Types what README promises an operator, word for word, in a directory that has what a checkout has, with whatever Node the
 * machine has in front. Only the server's port may be another one, where somebody else has the one of README.
 */
const heading = 'Your own release on your own appliance';
const steps = promisedSteps(readFileSync(join(checkout, 'README.md'), 'utf8'), heading);
const shownPort = '7080';

const home = mkdtempSync(join(tmpdir(), 'hf-readme-'));
// As root, its agent gets a user of its own, who must get to its slot.
chmodSync(home, 0o755);
for (const name of readdirSync(checkout).filter((one) => one !== '.git' && one !== '.holdfast')) {
  symlinkSync(join(checkout, name), join(home, name));
}
const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
const env = { PATH: path.join(delimiter), HOME: home, XDG_CONFIG_HOME: join(home, 'config'), LANG: 'C.UTF-8' };
/** What stays up until Ctrl-C. */
const staying = new Map<string, ReturnType<typeof begin>>();
let port = shownPort;

function begin(words: readonly string[]) {
  const [program = '', ...args] = words.map((word) => word.replaceAll(shownPort, port));
  // A group of its own, as a terminal gives it, so that Ctrl-C reaches all of it and nothing else.
  const child = execa(program, args, {
    cwd: home,
    env,
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    reject: false,
    detached: true,
  });
  let printed = '';
  child.all.on('data', (bytes: Buffer) => {
    printed += bytes.toString('utf8');
  });
  let ended = false;
  void child.then(() => {
    ended = true;
  });
  return { child, hasEnded: () => ended, lines: () => printed.split('\n').filter((line) => line.trim() !== '') };
}

async function untilItIsUp(name: string, words: readonly string[], promise: string): Promise<string> {
  const begun = begin(words);
  staying.set(name, begun);
  return until(`${name} prints: ${promise}`, patienceMs, () => {
    const found = begun.lines().find((line) => keepsPromise(promise, line));
    if (found === undefined && begun.hasEnded()) throw new Error(begun.lines().join('\n'));
    return found ?? null;
  });
}

async function ctrlC(name: string): Promise<void> {
  const begun = staying.get(name);
  staying.delete(name);
  if (begun?.child.pid === undefined) return;
  process.kill(-begun.child.pid, 'SIGINT');
  await begun.child;
}

afterAll(async () => {
  for (const name of [...staying.keys()].reverse()) await ctrlC(name);
  rmSync(home, { recursive: true, force: true });
});

const isServer = (words: readonly string[]) => words[1] === 'holdfast-server';
const isAppliance = (words: readonly string[]) => words[2] === 'appliance' && words[0] === 'npm';

describe(`README, ${heading}`, () => {
  it('has steps, and each of them a promise', () => {
    expect(steps.length).toBeGreaterThan(10);
    expect(steps.filter(({ promise }) => promise === '')).toEqual([]);
  });

  it.each(
    steps.map(({ line, words, promise }) => [`${line}: ${words.slice(0, 7).join(' ')}`, words, promise] as const),
  )('line %s', async (_, words, promise) => {
    if (isServer(words)) {
      const listens = await untilItIsUp('server', words, promise.replace(shownPort, '…'));
      port = /:(\d+) /.exec(listens)?.[1] ?? shownPort;
    } else if (isAppliance(words)) {
      await untilItIsUp('appliance', words, promise);
    } else {
      const { child, lines } = begin(words);
      await child;
      const last = lines().at(-1) ?? '';
      expect(keepsPromise(promise.replaceAll(shownPort, port), last), lines().join('\n')).toBe(true);
    }
  });

  it('starts the appliance again after Ctrl-C, by the same command', async () => {
    await ctrlC('appliance');
    const { words = [], promise = '' } = steps.find((one) => isAppliance(one.words)) ?? {};
    await untilItIsUp('appliance', words, promise);
    const root = join('.holdfast', 'appliances', 'pier-1', 'data');
    await until('it runs what it ran', patienceMs, async () => {
      const { child, lines } = begin(['npx', 'holdfast-updater', 'why', '--root', root]);
      await child;
      return lines().some((line) => /^1\.0\.1 runs/.test(line)) ? true : null;
    });
  });
});
