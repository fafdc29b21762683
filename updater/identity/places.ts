import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { setMode } from '../effects/durable.ts';
import type { FileFacts, Files } from '../effects/files.ts';
import { setAside } from '../effects/kept-file.ts';
import { identityTexts } from '../words/texts.ts';
import { handedIn } from './handed.ts';
import type { User } from './settings.ts';

/**
 * The owner and mode of each directory and file of an appliance: one table, enforced at set-up and at each run. No link
 * is followed; what lies below a directory that is not root's is not checked here.
 */

type Owner = 'root' | 'agent' | 'page';

interface Directory {
  readonly path: string;
  readonly owner: Owner;
  readonly mode: number;
  /** Created here if missing; the others are created where they are needed. */
  readonly isMade: boolean;
}

export interface Users {
  readonly agentUser: User | null;
  readonly pageUser: User | null;
}

/** A user with these rights could replace everything below. */
const writableByOthers = 0o022;
const modeBits = 0o7777;
const secret = 0o600;
const readable = 0o644;

/** Parents come before what is in them. */
export function directoriesOf(layout: Layout): readonly Directory[] {
  const own = (path: string, mode: number, isMade: boolean): Directory => ({ path, owner: 'root', mode, isMade });
  const slots = ['app', 'updater', 'os', 'factory'].map((name) => join(layout.slots, name));
  return [
    own(layout.updater, 0o700, true),
    ...[layout.work, layout.snapshots, layout.evidence, layout.trust].map((path) => own(path, 0o700, true)),
    own(handedIn(layout), 0o700, false),
    ...[layout.slots, layout.runtimes].map((path) => own(path, 0o755, true)),
    ...slots.map((path) => own(path, 0o755, false)),
    { path: layout.agent, owner: 'agent', mode: 0o700, isMade: true },
    { path: layout.agentFactory, owner: 'agent', mode: 0o700, isMade: true },
    // Root's, with access for the page's group (requests/page-places.ts): no other user creates, moves or removes a
    // name in it.
    own(layout.page, 0o750, true),
    own(layout.run, 0o755, true),
    own(layout.launched, 0o755, true),
    { path: layout.agentRun, owner: 'agent', mode: 0o755, isMade: true },
    { path: layout.requests, owner: 'page', mode: 0o700, isMade: true },
    own(layout.ownRequests, 0o700, true),
  ];
}

/** Names of files in updater/ and run/; other names are not checked. */
const fileName = /\.(jsonl?|key|db|armed|good|change)$|^(state|launch)\.[01]$|^agent-stopping$/;

/** One difference from the table, for people. */
export interface PutRight {
  readonly path: string;
  readonly text: string;
  /** Could a user other than root have caused it? Then it is only worth a line in the log. */
  readonly byStranger: boolean;
}

/**
 * Enforces the table; safe to repeat, and cheap when nothing differs.
 * @throws no error of the disk: what cannot be put right is reported, and the run continues
 */
export function putPlacesRight(files: Files, layout: Layout, users: Users): readonly PutRight[] {
  const found: PutRight[] = [];
  const each = (path: string, byStranger: boolean, deed: () => string | null) => {
    try {
      const text = deed();
      if (text !== null) found.push({ path, text, byStranger });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      found.push({ path, text: identityTexts.notPutRight(error.message), byStranger });
    }
  };
  each(layout.root, false, () => closeToOthers(files, layout.root));
  for (const directory of directoriesOf(layout)) {
    const { path, owner } = directory;
    each(path, owner !== 'root', () => putDirectoryRight(files, directory, users));
  }
  const places = [layout.updater, layout.run] as const;
  for (const place of places) {
    for (const name of files.list(place)) {
      if (!fileName.test(name)) continue;
      const path = join(place, name);
      each(path, false, () => putFileRight(files, path, place === layout.updater ? secret : null));
    }
  }
  each(layout.answerKeys, false, () => putFileRight(files, layout.answerKeys, readable));
  return found;
}

/** Called first and alone: while others may enter updater/, they may hold its lock. */
export function closePlace(files: Files, path: string): void {
  const facts = files.stat(path);
  const self = process.getuid?.();
  if (facts?.kind !== 'directory' || (self !== 0 && facts.uid !== self)) return;
  if ((facts.mode & modeBits) !== 0o700) setMode(files, path, 0o700);
}

function closeToOthers(files: Files, path: string): string | null {
  const facts = files.stat(path);
  if (facts?.kind !== 'directory') return null; // a link that root made to the real place of the partition
  return corrected(files, path, facts, null, facts.mode & ~writableByOthers);
}

function putDirectoryRight(files: Files, { path, owner, mode, isMade }: Directory, users: Users): string | null {
  const facts = files.stat(path);
  const user = { root: null, agent: users.agentUser, page: users.pageUser }[owner];
  if (facts?.kind === 'directory') return corrected(files, path, facts, user, mode, owner === 'root');
  if (facts === null && !isMade) return null;
  if (facts !== null && !setAside(files, path)) return identityTexts.cannotBeMoved(facts.kind);
  files.makeDirectory(path, mode);
  if (user !== null) files.setOwner(path, user.uid, user.gid);
  return facts === null ? identityTexts.created : identityTexts.createdAgain(facts.kind);
}

function putFileRight(files: Files, path: string, mode: number | null): string | null {
  const facts = files.stat(path);
  // Anything but a file is reported as damage.
  if (facts !== null && facts.kind !== 'file') setAside(files, path);
  return facts?.kind === 'file' ? corrected(files, path, facts, null, mode ?? facts.mode & ~writableByOthers) : null;
}

/** @param user the owner; null: root or, without separate users, the only user */
function corrected(
  files: Files,
  path: string,
  facts: FileFacts,
  user: User | null,
  mode: number,
  isRoots = true,
): string | null {
  const owner = user ?? (isRoots ? { uid: 0, gid: 0 } : null);
  const isStrange = process.getuid?.() === 0 && owner !== null && facts.uid !== owner.uid;
  if (isStrange) files.setOwner(path, owner.uid, owner.gid);
  const isOpen = (facts.mode & modeBits) !== mode;
  if (isOpen) setMode(files, path, mode);
  const changes = [
    ...(isStrange ? [identityTexts.belongedTo(facts.uid)] : []),
    ...(isOpen ? [identityTexts.hadMode(facts.mode.toString(8))] : []),
  ];
  return changes.length === 0 ? null : identityTexts.putRight(changes.join(identityTexts.and));
}
