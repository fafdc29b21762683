import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { emitProgram } from '../../../image/emit.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';

/** What is made once and kept: the root images take a minute and a half, and the network. */
const cache = join(tmpdir(), 'holdfast-bench-delta');
/** The Node before the one that this checkout runs on. */
const earlierNode = '26.9.0';
const suite = 'bookworm';
const mirror = 'http://deb.debian.org';
const packages = 'systemd,openssl,ca-certificates,curl,python3-minimal';
const fsUuid = '01234567-89ab-cdef-0123-456789abcdef';
const imageBytes = 420 * 1024 * 1024;

export interface Pair {
  readonly name: string;
  readonly kind: 'tree' | 'image';
  /** Directories of a tree (`slot/`, `node`), or files of an image. */
  readonly before: string;
  readonly after: string;
}

async function nodeOfVersion(version: string): Promise<string> {
  const dir = join(cache, `node-${version}`);
  const binary = join(dir, 'package', 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(dir, { recursive: true });
  const { stdout } = await execa('npm', ['pack', '--silent', `node-linux-${process.arch}@${version}`], { cwd: dir });
  await execa('tar', ['-xzf', stdout.trim()], { cwd: dir });
  return binary;
}

/** Two successive agents with two neighbouring versions of Node. */
export async function agentPair(work: string): Promise<Pair> {
  const build = async (name: string, version: string, node: string): Promise<string> => {
    const dir = join(work, name);
    const slot = join(dir, 'slot');
    mkdirSync(join(dir, 'runtime', 'bin'), { recursive: true });
    await emitProgram({
      component: 'app',
      version,
      commit: version,
      sourceDir: checkout,
      outDir: slot,
      node: nodeBinary,
    });
    await execa('cp', [node, join(dir, 'runtime', 'bin', 'node')]);
    return dir;
  };
  const before = await build('agent-before', '3.0.0', await nodeOfVersion(earlierNode));
  return { name: 'agent', kind: 'tree', before, after: await build('agent-after', '3.0.1', nodeBinary) };
}

/** A Debian root before and after its security updates, as two kinds of image. */
export async function rootPairs(): Promise<readonly Pair[]> {
  mkdirSync(cache, { recursive: true });
  const main = `deb ${mirror}/debian ${suite} main`;
  const updates = [
    `deb ${mirror}/debian-security ${suite}-security main`,
    `deb ${mirror}/debian ${suite}-updates main`,
  ];
  await makeRoot('before', [main]);
  await makeRoot('after', [main, ...updates]);
  const pair = (name: string, suffix: string): Pair => ({
    name,
    kind: 'image',
    before: join(cache, `before.${suffix}`),
    after: join(cache, `after.${suffix}`),
  });
  return [pair('root ext4', 'ext4'), pair('root squashfs', 'squashfs')];
}

async function makeRoot(name: string, sources: readonly string[]): Promise<void> {
  if (existsSync(join(cache, `${name}.squashfs`))) return;
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const tar = join(cache, `${name}.tar`);
  const tree = join(cache, `${name}.d`);
  await execa('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${packages}`, suite, tar, ...sources], { env });
  await execa('rm', ['-rf', tree]);
  mkdirSync(tree);
  await execa('tar', ['-xf', tar, '-C', tree, '--exclude=./dev/*']);
  const ext4 = join(cache, `${name}.ext4`);
  await execa('truncate', ['--size', '0', ext4]);
  await execa('truncate', ['--size', String(imageBytes), ext4]);
  const options = ['-q', '-F', '-U', fsUuid, '-E', `hash_seed=${fsUuid},lazy_itable_init=0`, '-d', tree];
  await execa('mkfs.ext4', [...options, ext4], { env });
  const squashfs = join(cache, `${name}.squashfs`);
  const flags = ['-quiet', '-no-progress', '-noappend', '-comp', 'zstd', '-reproducible'];
  await execa('mksquashfs', [tree, `${squashfs}.tmp`, ...flags], { env });
  await execa('rm', ['-rf', tree, tar]);
  renameSync(`${squashfs}.tmp`, squashfs);
}
