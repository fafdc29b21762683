import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Pair } from './inputs.ts';

/** Bytes that other ways to send an update need for the same pair. */
export interface PeerBytes {
  readonly name: string;
  readonly bytes: number;
}

async function oneFile(work: string, pair: Pair, side: 'before' | 'after'): Promise<string> {
  if (pair.kind === 'image') return pair[side];
  const tar = join(work, `${side}.tar`);
  const plain = ['--sort=name', '--owner=0', '--group=0', '--mtime=@0'];
  await execa('tar', [...plain, '-cf', tar, '-C', pair[side], '.']);
  return tar;
}

function filesBelow(dir: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) found.set(entry.name, statSync(join(entry.parentPath, entry.name)).size);
  }
  return found;
}

/** The chunks that a client with the earlier one lacks, and the index. */
async function casync(work: string, pair: Pair): Promise<number> {
  const suffix = pair.kind === 'tree' ? 'caidx' : 'caibx';
  const make = async (side: 'before' | 'after') => {
    const store = join(work, `${side}.castr`);
    mkdirSync(store);
    await execa('casync', ['make', `--store=${store}`, join(work, `${side}.${suffix}`), pair[side]]);
    return filesBelow(store);
  };
  const [before, after] = [await make('before'), await make('after')];
  const fresh = [...after].filter(([name]) => !before.has(name));
  return fresh.reduce((sum, [, size]) => sum + size, 0) + statSync(join(work, `after.${suffix}`)).size;
}

export async function peerBytes(work: string, pair: Pair): Promise<readonly PeerBytes[]> {
  mkdirSync(work, { recursive: true });
  const [before, after] = [await oneFile(work, pair, 'before'), await oneFile(work, pair, 'after')];
  const zstd = join(work, 'patch.zst');
  await execa('zstd', ['-q', '-f', '-19', '--long=28', `--patch-from=${before}`, after, '-o', zstd]);
  const xdelta = join(work, 'patch.xd3');
  await execa('xdelta3', ['-9', '-f', '-B', String(512 * 1024 * 1024), '-e', '-s', before, after, xdelta]);
  return [
    { name: 'casync', bytes: await casync(work, pair) },
    { name: 'zstd -19 --long=28 --patch-from', bytes: statSync(zstd).size },
    { name: 'xdelta3 -9', bytes: statSync(xdelta).size },
  ];
}
