import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Which processes belong to a unit: those of its own user or, without such users, those of its process group. */
export type Owner = { readonly by: 'user'; readonly uid: number } | { readonly by: 'group'; readonly pgid: number };

function readOrGone(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return null;
    throw error;
  }
}

function belongs(pid: string, owner: Owner): boolean {
  if (owner.by === 'user') {
    const status = readOrGone(`/proc/${pid}/status`);
    if (status === null || /^State:\s+Z/m.test(status)) return false; // a zombie is no longer running
    return new RegExp(`^Uid:.*\\b${owner.uid}\\b`, 'm').test(status);
  }
  const stat = readOrGone(`/proc/${pid}/stat`);
  // After the command in parentheses: state, parent, process group.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields !== undefined && fields[0] !== 'Z' && Number(fields[2]) === owner.pgid;
}

/** What a cgroup's `cgroup.procs` would list. */
export function processesOf(owner: Owner): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && belongs(name, owner))
    .map(Number);
}

/**
 * SIGKILL to all of them at once, as for a cgroup: a process that forks without end is faster than a list of processes.
 * A process that is gone already is no error.
 */
export function killAll(owner: Owner): void {
  if (owner.by === 'user') {
    if (owner.uid === 0) throw new RangeError('all of root would be killed');
    // kill(2): -1 is every process that the caller may signal, which for an ordinary user is its own.
    const all = { uid: owner.uid, gid: owner.uid, stdio: 'ignore' } as const;
    spawnSync('/bin/sh', ['-c', 'kill -KILL -1'], all);
    return;
  }
  for (const pid of processesOf(owner)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}
