import { execa } from 'execa';
import { z } from 'zod';

/**
 * Started by trial-root.ts in a mount namespace of its own. Mounts what a root needs, invisible from outside, and then
 * becomes the program. The process stays the same, so that signals reach the program.
 */
const entryShape = z.object({
  root: z.string(),
  binds: z.array(z.object({ from: z.string(), to: z.string() })),
  /** Absolute, within the root; null: only tests whether the root can be entered. */
  command: z.tuple([z.string()], z.string()).nullable(),
});
export type Entry = z.infer<typeof entryShape>;

const { root, binds, command } = entryShape.parse(JSON.parse(process.argv[2] ?? ''));
await execa('/usr/bin/mount', ['--make-rprivate', '/']);
for (const { from, to } of binds) await execa('/usr/bin/mount', ['--rbind', from, to]);
if (command !== null) {
  process.execve?.('/usr/bin/unshare', ['unshare', `--root=${root}`, '--', ...command]);
}
