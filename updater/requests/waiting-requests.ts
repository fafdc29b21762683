import { basename } from 'node:path';
import { type Request, requestBytesMax, requestShape } from '../../protocol/request.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { type Asker, askers, inRequests, requestName, requestNamesMax } from '../appliance/request-name.ts';
import { unlessRefused } from '../appliance/unless-refused.ts';
import type { HeldDirectory } from '../effects/held-directory.ts';
import { requestTexts } from '../words/texts.ts';

/** The requests that wait in the directories of both askers; anything else there is removed. */

/** The most requests of root, and of the page, that one run reads and takes; more wait for the next run. */
const requestsMax = 16;

export interface Waiting {
  readonly asker: Asker;
  readonly name: string;
  readonly byRoot: boolean;
  readonly request: Request;
}

export const takenAs = (asker: Asker, name: string): string => `${asker}/${name}`;

/** The next valid request, root's first; an invalid one is removed and logged. */
export function nextRequest(appliance: Appliance, taken: ReadonlySet<string>): Waiting | null {
  for (const asker of askers) {
    const waiting = nextOf(appliance, asker, taken);
    if (waiting !== null) return waiting;
  }
  return null;
}

function nextOf(appliance: Appliance, asker: Asker, taken: ReadonlySet<string>): Waiting | null {
  const { files, log } = appliance;
  const ofAsker = [...taken].filter((one) => one.startsWith(takenAs(asker, '')));
  // Repeated requests must not keep a run from ending; the next run continues.
  if (ofAsker.length >= requestsMax) return null;
  return inRequests<Waiting | null>(appliance, asker, null, (requests) => {
    // Anything else in the directory is half written or not ours.
    const names = requests.names(requestNamesMax).filter((name) => requestName.test(name));
    const open = names.filter((name) => !taken.has(takenAs(asker, name)));
    for (const name of open.slice(0, requestsMax)) {
      const waiting = readRequest(requests, asker, name);
      if (waiting === 'gone') continue;
      if (waiting !== null) return waiting;
      log(requestTexts.notARequest(requests.path, name));
      unlessRefused(log, requestTexts.notRemoved(name), undefined, () => files.removeTree(requests.at(name)));
    }
    return null;
  });
}

/**
 * @returns null: it is not a request, or its sender may not ask: only root and the page's user may, in a file with one
 * name
 */
function readRequest(requests: HeldDirectory, asker: Asker, name: string): Waiting | 'gone' | null {
  try {
    return requests.withOwn(name, (read, { uid, size }) => {
      if (size > requestBytesMax) return null;
      const parsed = requestShape.safeParse(JSON.parse(read(size).toString('utf8')));
      if (!parsed.success || parsed.data.id !== basename(name, '.json')) return null;
      return { asker, name, byRoot: uid === (process.getuid?.() ?? 0), request: parsed.data };
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'gone';
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

/**
 * Removes it, whatever it is by now. What cannot be removed is not done again in this run; the next run tries again.
 */
export function removeRequest(appliance: Appliance, { asker, name }: Waiting): void {
  inRequests(appliance, asker, undefined, (requests) => {
    appliance.files.removeTree(requests.at(name));
    requests.sync();
  });
}
