import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { cutHead } from '../../protocol/text.ts';
import { ImageError } from '../errors.ts';
import { trialTexts } from '../texts.ts';
import type { Entry } from './enter-root.ts';

/**
 * Where a release is tried: in a root that holds its slot, its runtime and the system's libraries, as on an appliance;
 * or, if this machine lets nobody make one, at least without a PATH, among everything that this machine has.
 */
export type TrialGround =
  | { readonly kind: 'own-root' }
  | {
      readonly kind: 'machine';
      /** Why there is no root of its own. */
      readonly why: string;
    };

/** What is tried: a payload, and the runtime in its bundle. */
export interface TriedFiles {
  readonly payloadDir: string;
  readonly entry: string;
  /** The Node binary in the bundle. */
  readonly node: string;
}

export interface TrialRoot extends AsyncDisposable {
  /** The data partition, as the builder sees it, and as the agent in its root does. */
  readonly outside: Layout;
  readonly inside: Layout;
  /** The runtime and the program, with the paths that the agent's unit uses within the root. */
  readonly node: string;
  readonly program: string;
  /** The command for this machine that runs a command within the root. */
  wordsFor(command: readonly [string, ...string[]]): readonly [string, ...string[]];
}

const dataPath = '/var/lib/holdfast';
/** Where libraries lie; a link among these is made again as it is. */
const libraryPaths = ['/usr/lib', '/usr/lib64', '/lib', '/lib64'];
const kernelPaths = ['/dev', '/proc', '/sys'];
/** Small system files that programs find on an appliance, too. */
const systemFiles = [
  'ld.so.cache',
  'passwd',
  'group',
  'hosts',
  'resolv.conf',
  'nsswitch.conf',
  'localtime',
  'os-release',
];
const startTimeoutMs = 120_000;
const saidCharsMax = 600;
const helper = join(import.meta.dirname, 'enter-root.ts');

/** Finds out what this machine allows, by making a root and entering it. */
export async function findGround(): Promise<TrialGround> {
  const root = await mkdtemp(join(tmpdir(), 'hft-'));
  try {
    const [file, ...args] = entering({ root, binds: await systemIn(root), command: null });
    const result = await execa(file, args, { reject: false, timeout: startTimeoutMs });
    if (!result.failed) return { kind: 'own-root' };
    const said = `${result.stderr}`.trim().split('\n').at(-1);
    return { kind: 'machine', why: said || (result.shortMessage ?? trialTexts.notEntered) };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Makes the root for one start, with an empty data partition; disposing of it removes it. */
export async function makeTrialRoot(ground: TrialGround, files: TriedFiles): Promise<TrialRoot> {
  // A short path: that of a socket has at most 107 bytes.
  const root = await mkdtemp(join(tmpdir(), 'hft-'));
  const isOwn = ground.kind === 'own-root';
  const outside = layoutOf(isOwn ? join(root, dataPath) : root);
  const inside = isOwn ? layoutOf(dataPath) : outside;
  const slot = isOwn ? inside.slot('app', '0') : files.payloadDir;
  const runtime = inside.runtime('tried');
  const launched = outside.launchedComponent('app');
  for (const path of [outside.slot('app', '0'), join(outside.runtime('tried'), 'bin'), launched]) {
    await mkdir(path, { recursive: true });
  }
  const nodeAt = join(outside.runtime('tried'), 'bin', 'node');
  // In a root of its own, this is the mount point for the runtime's file.
  await (isOwn ? writeFile(nodeAt, '') : symlink(files.node, nodeAt));
  await symlink(slot, join(launched, 'slot'));
  await symlink(runtime, join(launched, 'runtime'));
  const within = inside.launchedComponent('app');
  const own = [
    { from: files.payloadDir, to: outside.slot('app', '0') },
    { from: files.node, to: nodeAt },
  ];
  const binds = isOwn ? [...(await systemIn(root)), ...own] : [];
  return {
    outside,
    inside,
    node: join(within, 'runtime', 'bin', 'node'),
    program: join(within, 'slot', files.entry),
    wordsFor: (command) => (isOwn ? entering({ root, binds, command: [...command] }) : command),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** How a program of this machine enters a root; an ordinary user is root only there. */
function entering(entry: Entry): [string, ...string[]] {
  const asUser = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['/usr/bin/unshare', '--mount', ...asUser, '--', process.execPath, helper, JSON.stringify(entry)];
}

/** Libraries and devices of this machine, to be mounted, and copies of the small files that programs look for. */
async function systemIn(root: string): Promise<Entry['binds']> {
  const binds: Entry['binds'] = [];
  for (const path of [...libraryPaths, ...kernelPaths]) {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts === undefined) continue;
    await mkdir(join(root, dirname(path)), { recursive: true });
    if (facts.isSymbolicLink()) {
      await symlink(readlinkSync(path), join(root, path));
      continue;
    }
    await mkdir(join(root, path), { recursive: true });
    binds.push({ from: path, to: join(root, path) });
  }
  for (const directory of ['etc', 'tmp']) await mkdir(join(root, directory), { recursive: true });
  for (const name of systemFiles.filter((file) => existsSync(join('/etc', file)))) {
    await copyFile(join('/etc', name), join(root, 'etc', name));
  }
  return binds;
}

/** For a process within the root: it gets nothing of the builder's own environment. */
export const withinRoot = {
  cwd: '/',
  env: { PATH: '/nonexistent', LANG: 'C.UTF-8' },
  extendEnv: false,
  stdin: 'ignore',
  reject: false,
} as const;

/**
 * Starts the runtime alone and lets it print its version.
 * @throws ImageError `runtime-unusable`
 */
export async function tryRuntime(ground: TrialGround, files: TriedFiles): Promise<string> {
  await using root = await makeTrialRoot(ground, files);
  const [file, ...args] = root.wordsFor([root.node, '--version']);
  const { failed, stdout, stderr, shortMessage } = await execa(file, args, { ...withinRoot, timeout: startTimeoutMs });
  if (!failed && /^v\d/.test(stdout)) return stdout.trim();
  const said = cutHead(stderr.trim(), saidCharsMax) || shortMessage;
  throw new ImageError('runtime-unusable', trialTexts.notAlone(files.node, said), trialTexts.notAloneNext);
}
