import { readFileSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';

/** What is timed begins on a cold cache: nothing of an earlier run is in memory. */
export async function dropCaches(): Promise<void> {
  await execa('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3\n');
}

/** Seconds that some work takes, caches dropped before. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  await dropCaches();
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/** The most memory that a process ever had, in MB of 10^6 bytes; null when it is gone. */
export function peakMemoryOf(pid: number): number | null {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match?.[1] === undefined ? null : (Number(match[1]) * 1024) / 1e6;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return null;
    throw error;
  }
}

const packages: Readonly<Record<string, string>> = {
  rauc: 'rauc rauc-service',
  swupdate: 'swupdate',
  'dbus-daemon': 'dbus',
  losetup: 'mount',
  zstd: 'zstd',
  casync: 'casync',
  xdelta3: 'xdelta3',
  mksquashfs: 'squashfs-tools',
  mmdebstrap: 'mmdebstrap',
  'mkfs.ext4': 'e2fsprogs',
};

export class ToolMissingError extends Error {
  readonly code = 'tool-missing';
}

/** @throws ToolMissingError that names Debian's package */
export async function requireTools(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const found = await execa('which', [name], { reject: false });
    if (found.failed) throw new ToolMissingError(`${name} is needed: apt-get install ${packages[name] ?? name}`);
  }
}
