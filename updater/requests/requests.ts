import { dirname, resolve } from 'node:path';
import type { Request } from '../../protocol/request.ts';
import { noSources } from '../../protocol/sources.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { answerToRollback, type RollbackCode, type RollbackRequest } from '../choice/going-back.ts';
import { forgetRefused, hasRefused } from '../choice/refused.ts';
import { forgetBelowFloor, undoneByServer } from '../choice/wanted.ts';
import { rulesOf } from '../machine/component-rules.ts';
import type { MachineEvent } from '../machine/event.ts';
import { publishPath } from '../server/publish-path.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { ReleaseError, type ReleaseErrorCode } from '../trust/release-error.ts';
import { readSources, type SourcesRefusal, sourcesInUse, sourcesShown, takeSources } from '../trust/sources.ts';
import { nameOf } from '../words/component-words.ts';
import { requestTexts } from '../words/texts.ts';
import { bringFile, forgetBrought, lookWhereItLies, removeUpload } from './bring-file.ts';
import { tellAsker } from './request-answers.ts';
import { runsAlready } from './runs-already.ts';
import { forgetSticks } from './stick-notes.ts';
import { nextRequest, removeRequest, takenAs, type Waiting } from './waiting-requests.ts';

export type RequestOutcome = 'done' | 'begun' | 'refused';
/** Besides what can be wrong with a bundle. */
type RefusalCode =
  | RollbackCode
  | SourcesRefusal
  | 'not-uploaded'
  | 'file-unreadable'
  | 'not-quarantined'
  | 'version-needed'
  | 'sources-changed'
  | 'records-newer'
  | 'updater-waits';

/** The final answer. */
function answerRequest(
  appliance: Appliance,
  { asker, request: { id } }: Waiting,
  outcome: RequestOutcome,
  text: string,
  code?: RefusalCode | ReleaseErrorCode,
): void {
  tellAsker(appliance, asker, { id, outcome, text, ...(code === undefined ? {} : { code }) });
}

/** A first answer, which the result replaces. @param tx the transaction that begins */
function answerBegun(
  appliance: Appliance,
  { asker, request: { id } }: Waiting,
  text: string,
  more: { readonly outcome?: RequestOutcome; readonly tx?: number } = {},
): void {
  tellAsker(appliance, asker, { id, outcome: 'begun', text, open: true, ...more });
}

/** The number of the next transaction. */
const nextTx = ({ lastTx }: StateBody) => lastTx + 1;

/**
 * Takes the next request of a person.
 * @param taken what this run already took: it is not taken again, and this request is added
 * @returns what the machine has to do for it, `asked` when somebody wants a look at the server now, null when there is
 * none
 */
export async function takeRequest(
  appliance: Appliance,
  state: StateBody,
  taken: Set<string> = new Set(),
): Promise<MachineEvent | 'asked' | null> {
  const waiting = nextRequest(appliance, taken);
  if (waiting === null) return null;
  taken.add(takenAs(waiting.asker, waiting.name));
  return doRequest(appliance, state, waiting);
}

async function doRequest(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
): Promise<MachineEvent | 'asked' | null> {
  const { request } = waiting;
  try {
    switch (request.kind) {
      case 'check':
        // Earlier updaters said no more; for a command line of that time this is the final answer.
        answerBegun(appliance, waiting, requestTexts.lookingNow, { outcome: 'done' });
        return 'asked';
      case 'retry':
        return retry(appliance, state, waiting, request.manifest ?? null);
      case 'rollback':
        return rollBack(appliance, state, waiting, request);
      case 'install':
        return await install(appliance, state, waiting, request);
      case 'set-sources':
        return setSources(appliance, waiting, request);
      default:
        return request satisfies never;
    }
  } finally {
    // Begun or refused, it is not done twice: a crash from here on loses at most a request that can be made again.
    removeRequest(appliance, waiting);
  }
}

/**
 * The next request to an updater that stands by because a newer one wrote its records ({@link standBy}): requests that
 * need no record are done, and a sound bundle is left for the run that follows.
 * @returns `install`: such a bundle waits
 */
export async function takeRequestInStandBy(
  appliance: Appliance,
  state: StateBody,
): Promise<'install' | 'asked' | null> {
  const waiting = nextRequest(appliance, new Set());
  if (waiting === null) return null;
  const { request } = waiting;
  if (request.kind === 'install' && (await isSoundBundle(appliance, state, waiting, request))) return 'install';
  if (request.kind === 'retry' || request.kind === 'rollback') {
    const text = requestTexts.recordsNewer;
    answerRequest(appliance, waiting, 'refused', text, 'records-newer');
  } else if (request.kind !== 'install') {
    const asked = await doRequest(appliance, state, waiting);
    return asked === 'asked' ? asked : null;
  }
  removeRequest(appliance, waiting);
  return null;
}

/** Checked in place; the run that takes it checks again. A bad bundle is refused here, and nothing else changes. */
async function isSoundBundle(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  request: Extract<Request, { kind: 'install' }>,
): Promise<boolean> {
  const file = resolve(request.file);
  if (!mayInstall(appliance, waiting, file)) return false;
  try {
    await lookWhereItLies(appliance, state, file);
    return true;
  } catch (error) {
    const { text, code } = whyUnreadable(error, file);
    answerRequest(appliance, waiting, 'refused', text, code);
    if (!waiting.byRoot) removeUpload(appliance, file);
    return false;
  }
}

/** What a person sets stays until the signed sources change; the former path is kept until the new one is verified. */
function setSources(
  appliance: Appliance,
  waiting: Waiting,
  request: Extract<Request, { kind: 'set-sources' }>,
): 'asked' | null {
  if (request.shown !== undefined && request.shown !== sourcesShown(readSources(appliance))) {
    const text = requestTexts.networkPathChanged;
    answerRequest(appliance, waiting, 'refused', text, 'sources-changed');
    return null;
  }
  const known = sourcesInUse(appliance)[0] ?? noSources;
  const change = takeSources(appliance, { ...known, ...request.sources }, 'page');
  if (change.outcome === 'refused') {
    answerRequest(appliance, waiting, 'refused', change.text, change.code);
    return null;
  }
  publishPath(appliance);
  answerRequest(appliance, waiting, 'done', change.text);
  return 'asked';
}

function retry(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  manifest: string | null,
): MachineEvent | 'asked' | null {
  // What a person left on purpose comes back only when a person names it.
  const newest = state.quarantine.findLast(({ reason }) => reason === 'trial');
  const lifted = manifest === null ? newest : state.quarantine.find((entry) => entry.manifest === manifest);
  if (lifted === undefined) {
    const left = state.quarantine.at(-1);
    // A release that was refused, and waits for its next try, is not in quarantine: that try is made now.
    if (manifest === null && left !== undefined && !hasRefused(appliance)) {
      answerRequest(appliance, waiting, 'refused', requestTexts.nameTheLeft(left.version), 'version-needed');
      return null;
    }
    if (manifest === null) {
      const text = left === undefined ? requestTexts.noneInQuarantine : requestTexts.lookingNow;
      answerBegun(appliance, waiting, text, { outcome: 'done' });
      tryAgainAtOnce(appliance);
      return 'asked';
    }
    const text = requestTexts.notInQuarantine;
    answerRequest(appliance, waiting, 'refused', text, 'not-quarantined');
    return null;
  }
  answerBegun(appliance, waiting, requestTexts.mayBeTried(lifted.version));
  tryAgainAtOnce(appliance);
  return { kind: 'lift', manifest: lifted.manifest };
}

/** A person who asks again does not want to wait for the back-off after a refusal. */
function tryAgainAtOnce(appliance: Appliance): void {
  forgetRefused(appliance);
  forgetBelowFloor(appliance);
  forgetSticks(appliance);
}

function rollBack(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  request: RollbackRequest,
): MachineEvent | null {
  const answer = answerToRollback(appliance, state, request);
  if (answer.outcome === 'refused') answerRequest(appliance, waiting, 'refused', answer.text, answer.code);
  else answerBegun(appliance, waiting, answer.text, { tx: nextTx(state) });
  return answer.event;
}

function mayInstall(appliance: Appliance, waiting: Waiting, file: string): boolean {
  if (waiting.byRoot || dirname(file) === appliance.layout.uploads) return true;
  const text = requestTexts.onlyUploads;
  answerRequest(appliance, waiting, 'refused', text, 'not-uploaded');
  return false;
}

async function install(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  request: Extract<Request, { kind: 'install' }>,
): Promise<MachineEvent | null> {
  const file = resolve(request.file);
  if (!mayInstall(appliance, waiting, file)) return null;
  try {
    const choice = await bringFile(appliance, state, file, true);
    if (runsAlready(appliance, state, choice)) {
      forgetBrought(appliance, choice);
      answerRequest(appliance, waiting, 'done', requestTexts.runsAlready(choice.version));
      return null;
    }
    const why = rulesOf(choice.component).whyNotNow(state);
    if (why !== null) {
      const text = requestTexts.notInstalledNow(nameOf(choice.component, choice.version), why);
      answerRequest(appliance, waiting, 'refused', text, 'updater-waits');
      return null;
    }
    const { desired } = loadRemembered(appliance.files, appliance.layout);
    const undone = undoneByServer(state, desired, choice, appliance.identity.name);
    const text = requestTexts.installingFile(
      choice.component,
      choice.version,
      undone === null ? '' : `; ${undone.sentence}. ${undone.next}`,
    );
    answerBegun(appliance, waiting, text, { tx: nextTx(state) });
    return { kind: 'take', choice };
  } catch (error) {
    const { text, code } = whyUnreadable(error, file);
    answerRequest(appliance, waiting, 'refused', text.replaceAll(file, request.shownAs ?? file), code);
    return null;
  } finally {
    if (!waiting.byRoot) removeUpload(appliance, file);
  }
}

function whyUnreadable(error: unknown, file: string): { text: string; code: RefusalCode | ReleaseErrorCode } {
  if (error instanceof ReleaseError)
    return { text: `${error.message} (${error.code}). ${error.next}`, code: error.code };
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = error.code === 'ENOENT' ? 'no-file' : 'file-unreadable';
  return {
    text: requestTexts.fileUnreadable(file, String(error.code)),
    code,
  };
}
