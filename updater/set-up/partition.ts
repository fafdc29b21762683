import type { Layout } from '../../protocol/layout.ts';
import { replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { putPlacesRight, type Users } from '../identity/places.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { loadSettings, mediaDirectories, type Settings } from '../identity/settings.ts';
import { systemUser } from '../identity/system-users.ts';
import { ownPage } from '../requests/page-places.ts';
import { setUpTexts } from '../words/texts.ts';

/** The settings that root has put there, or those of a machine on which the operating system's part was laid over /. */
export function firstSettings(files: Files, layout: Layout): Settings {
  if (files.stat(layout.settings) !== null) return loadSettings(files, layout);
  const [agentUser, pageUser] = [systemUser(files, 'hf-agent'), systemUser(files, 'hf-page')];
  if (agentUser === null || pageUser === null) {
    throw new SetUpError('users-missing', setUpTexts.noUsers, setUpTexts.noUsersNext);
  }
  if (files.stat(layout.root)?.kind !== 'link') files.makeDirectory(layout.root, 0o755);
  files.makeDirectory(layout.updater, 0o700);
  replaceJson(
    files,
    layout.settings,
    { processControl: { kind: 'systemd' }, agentUser, pageUser, sticks: mediaDirectories },
    0o600,
  );
  return loadSettings(files, layout);
}

export function makeDirectories(
  { files, layout, log }: { readonly files: Files; readonly layout: Layout; log(line: string): void },
  { agentUser, pageUser }: Users,
): void {
  // Only root can have made a link of it, to the real place of the data partition; below it no link is followed.
  if (files.stat(layout.root)?.kind !== 'link') files.makeDirectory(layout.root, 0o755);
  putPlacesRight(files, layout, { agentUser, pageUser });
  files.syncDirectory(layout.root);
  ownPage({ files, layout, settings: { pageUser }, log });
}
