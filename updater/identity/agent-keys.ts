import { basename } from 'node:path';
import { type AgentCredentials, agentCredentialsShape } from '../../protocol/claim.ts';
import type { Layout } from '../../protocol/layout.ts';
import { replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { type HeldDirectory, HeldDirectoryError } from '../effects/held-directory.ts';
import type { User } from './settings.ts';

/**
 * The agent's keys, in a directory of the agent's: the updater made them and vouched for them, and writes them there.
 */

const credentialsBytesMax = 16 * 1024;
const rights = { directory: 0o700, file: 0o600 } as const;

interface Keys {
  readonly files: Files;
  readonly layout: Layout;
  readonly agentUser: User | null;
}

/** The agent may replace the directory of its keys by a link; writing through it would write elsewhere. */
function ownKeys({ files, layout, agentUser }: Keys, agent: HeldDirectory): void {
  const name = basename(layout.agentKeys);
  const kind = agent.stat(name)?.kind;
  if (kind !== undefined && kind !== 'directory') files.unlink(agent.at(name));
  if (kind !== 'directory') files.makeDirectory(agent.at(name), rights.directory);
  agent.own(name, rights.directory, agentUser);
  if (kind !== 'directory') agent.sync();
}

/**
 * @param anew write them even if they are good: the agent sees that it was enrolled again, and asks the server at once
 * @returns false: the agent already has them
 */
export function keepCredentials(keys: Keys, agent: HeldDirectory, wanted: AgentCredentials, anew = false): boolean {
  const { files, layout, agentUser } = keys;
  ownKeys(keys, agent);
  const name = basename(layout.agentCredentials);
  return agent.within(basename(layout.agentKeys), (directory) => {
    if (!anew && areGood(keys, directory, wanted)) return false;
    for (const taken of [name, `${name}.tmp`])
      if (directory.stat(taken)?.kind === 'directory') files.removeTree(directory.at(taken));
    const bytes = Buffer.from(JSON.stringify(wanted));
    replaceFile(files, directory.at(name), bytes, rights.file, agentUser ?? undefined);
    return true;
  });
}

function areGood(keys: Keys, directory: HeldDirectory, wanted: AgentCredentials): boolean {
  const found = readOrNull(keys, directory);
  if (found === null) return false;
  const { appliance, url, privateKey } = found;
  return appliance === wanted.appliance && url === wanted.url && privateKey === wanted.privateKey;
}

/** Can the agent read its credentials, whatever they say? */
export function hasCredentials(keys: Keys, agent: HeldDirectory): boolean {
  const name = basename(keys.layout.agentKeys);
  return agent.stat(name)?.kind === 'directory' && agent.within(name, (held) => readOrNull(keys, held) !== null);
}

function readOrNull({ layout, agentUser }: Keys, directory: HeldDirectory): AgentCredentials | null {
  const name = basename(layout.agentCredentials);
  const seen = directory.stat(name);
  const isOwn = agentUser === null || seen?.uid === agentUser.uid;
  if (seen?.kind !== 'file' || !isOwn || (seen.mode & rights.file) !== rights.file) return null;
  try {
    const bytes = directory.readOwn(name, credentialsBytesMax);
    const found = agentCredentialsShape.safeParse(JSON.parse(bytes.toString('utf8')));
    return found.success ? found.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof HeldDirectoryError) return null;
    throw error;
  }
}
