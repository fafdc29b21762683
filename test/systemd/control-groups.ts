import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { until } from '../support/world/wait.ts';

/** cgroups(7): one tree for everything, or one for each controller beside the tree that systemd keeps its units in. */
const mount = '/sys/fs/cgroup';
const isUnified = existsSync(join(mount, 'cgroup.controllers'));
const controllers = ['memory', 'pids', 'cpu', 'cpuacct', 'devices'] as const;
const emptyWithinMs = 10_000;

/**
 * A machine's own groups. Containers that are started from one group would share every group below it: the agents of two
 * machines in one `holdfast-agent.service`, so that one systemd never sees its unit empty while the other's agent lives.
 */
export class ControlGroups {
  readonly #places: readonly string[];

  constructor(name: string) {
    const trees = isUnified
      ? ['']
      : [...controllers, 'systemd', 'unified'].filter((tree) => existsSync(join(mount, tree)));
    this.#places = trees.map((tree) => join(mount, tree, `holdfast-${process.pid}-${name}`));
  }

  make(): void {
    for (const place of this.#places) mkdirSync(place, { recursive: true });
    // Without them a unit's limits would be written nowhere.
    if (isUnified) writeFileSync(join(mount, 'cgroup.subtree_control'), '+memory +pids +cpu');
  }

  /** Words that put a program, and all that it starts, into these groups. */
  within(program: readonly string[]): string[] {
    const enter = this.#places.map((place) => `echo $$ >${join(place, 'cgroup.procs')}`);
    return ['/bin/sh', '-e', '-c', `${enter.join('; ')}; exec "$@"`, 'sh', ...program];
  }

  /** Once nothing of the machine is left. */
  async remove(): Promise<void> {
    for (const place of this.#places) {
      await until(`${basename(place)} is empty`, emptyWithinMs, () => {
        if (existsSync(place)) removeGroup(place);
        return true;
      });
    }
  }
}

/** Groups are directories whose files belong to the kernel. */
function removeGroup(place: string): void {
  for (const entry of readdirSync(place, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(place, entry.name));
  }
  rmdirSync(place);
}

/**
 * The first program of a container. A hierarchy of one controller is mounted without write access there, and then systemd
 * says nothing and limits nothing.
 */
export const firstProgram = `#!/bin/sh
while read -r _ where type _; do
  [ "$type" = cgroup ] && mount -o remount,bind,rw "$where"
done </proc/mounts
exec /lib/systemd/systemd
`;
