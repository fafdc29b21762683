import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { processesOf } from '../../../image/development/supervisor/processes-of.ts';
import { nodeBinary } from '../world/checkout.ts';
import { patienceMs, until } from '../world/wait.ts';

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** One thing that somebody does with names; what fails is passed over. Paths are absolute. */
export type SwapStep =
  /** In the place of what was at the path. */
  | readonly ['link', path: string, target: string]
  | readonly ['rename', from: string, to: string]
  | readonly ['write', path: string, text: string]
  | readonly ['directory' | 'remove', path: string]
  /** Every name in a directory. */
  | readonly ['remove-all', directory: string];

/** In one place by turns: a link to what is root's, and a file of one's own. */
export function linkAndFile(path: string, target: string): SwapStep[] {
  return [
    ['link', `${path}.x`, target],
    ['rename', `${path}.x`, path],
    ['write', `${path}.y`, '{}\n'],
    ['rename', `${path}.y`, path],
  ];
}

/** What makes a program one of another user, with nothing of root's. */
export function setprivWords({ uid, gid }: User): string[] {
  return ['--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--inh-caps=-all', '--no-new-privs'];
}

/** A process of another user, that takes these steps again and again, from its first time until it is disposed of. */
export async function swapping(user: User, steps: readonly SwapStep[]): Promise<AsyncDisposable> {
  const program = [nodeBinary, join(import.meta.dirname, 'swapper.ts'), JSON.stringify(steps)];
  // A group of its own, so that all of it is found again.
  const child = spawn('setpriv', [...setprivWords(user), ...program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const { pid } = child;
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (pid === undefined || !String(said).startsWith('begun')) throw new Error(`it did not begin: ${said}`);
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended before');
      const ended = once(child, 'exit');
      process.kill(-pid, 'SIGKILL');
      await ended;
      await until('nothing of it acts any more', patienceMs, () =>
        processesOf({ by: 'group', pgid: pid }).length === 0 ? true : null,
      );
    },
  };
}
