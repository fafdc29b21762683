import type { Layout } from '../protocol/layout.ts';
import { replaceJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { systemUser } from './processes/system-users.ts';
import { SetUpError } from './set-up-error.ts';
import { loadSettings, type Settings, type User } from './settings.ts';

/** Where an image mounts removable media. */
const sticks = ['/media', '/run/media', '/mnt'];

/** The settings that root has put there, or those of a machine that the operating system's part was laid over. */
export function firstSettings(files: Files, layout: Layout): Settings {
  if (files.stat(layout.settings) !== null) return loadSettings(files, layout);
  const [agentUser, pageUser] = [systemUser(files, 'hf-agent'), systemUser(files, 'hf-page')];
  if (agentUser === null || pageUser === null) {
    throw new SetUpError(
      'users-missing',
      'this machine has no users hf-agent and hf-page',
      "Lay the operating system's part over / and run systemd-sysusers; then run setup again.",
    );
  }
  if (files.stat(layout.root)?.kind !== 'link') files.makeDirectory(layout.root, 0o755);
  files.makeDirectory(layout.updater, 0o700);
  replaceJson(files, layout.settings, { processControl: { kind: 'systemd' }, agentUser, pageUser, sticks }, 0o600);
  return loadSettings(files, layout);
}

export function makeDirectories(files: Files, layout: Layout, agentUser: User | null, pageUser: User | null): void {
  const own = (path: string, mode: number, user: User | null) => {
    files.makeDirectory(path, mode);
    if (user !== null) files.setOwner(path, user.uid, user.gid);
  };
  // Only root can have made a link of it, to where the data partition really is; below it no link is followed.
  if (files.stat(layout.root)?.kind !== 'link') files.makeDirectory(layout.root, 0o755);
  own(layout.updater, 0o700, null);
  for (const path of [layout.work, layout.snapshots, layout.evidence, layout.trust]) own(path, 0o700, null);
  for (const path of [layout.slots, layout.runtimes]) own(path, 0o755, null);
  for (const path of [layout.agent, layout.agentKeys, layout.agentFactory]) own(path, 0o700, agentUser);
  for (const path of [layout.page, layout.uploads]) own(path, 0o700, pageUser);
  files.syncDirectory(layout.root);
}
