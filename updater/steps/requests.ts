import { randomUUID } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { type Request, requestBytesMax, requestShape } from '../../protocol/request.ts';
import { manifestName } from '../../protocol/seal.ts';
import { noSources } from '../../protocol/sources.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { FileFacts } from '../effects/files.ts';
import type { Choice, MachineEvent } from '../machine-event.ts';
import { ReleaseError, type ReleaseErrorCode } from '../release/release-error.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { sourcesInUse, takeSources } from '../release/sources.ts';
import { trialLength } from '../settings.ts';
import { acceptanceOf, wayBack } from './acceptance.ts';
import { forgetRefused } from './refused.ts';
import { forgetSticks } from './stick-notes.ts';
import { forgetBelowFloor } from './wanted.ts';
import type { NoReturnCode } from './way-back.ts';

/** Requests that one run looks at; more wait for the next one. */
const requestsMax = 16;
/** Characters of a path in the record. */
const pathMax = 400;

export type RequestOutcome = 'done' | 'begun' | 'refused';
/** Beside what can be wrong with a bundle. */
type RefusalCode = NoReturnCode | 'not-uploaded' | 'file-unreadable' | 'records-newer';

/** Tells the person who asked; page and command line print it. */
function answerRequest(
  appliance: Appliance,
  id: string,
  outcome: RequestOutcome,
  text: string,
  code?: RefusalCode | ReleaseErrorCode,
): void {
  const answer = { id, outcome, text: text.slice(0, 600), ...(code === undefined ? {} : { code }) };
  replaceJson(appliance.files, `${appliance.layout.run}/last-request.json`, answer, 0o600);
  appliance.log(`request ${id}: ${outcome}: ${text}`);
}

/** Only root and the page's user may ask; without users there is nobody else. */
function mayAsk(appliance: Appliance, facts: FileFacts): boolean {
  const { pageUser } = appliance.settings;
  const self = process.getuid?.() ?? 0;
  return facts.kind === 'file' && facts.links === 1 && (facts.uid === self || facts.uid === pageUser?.uid);
}

interface Waiting {
  readonly path: string;
  readonly byRoot: boolean;
  readonly request: Request;
}

/** The next valid request; what is not one is removed with a line in the log. */
function nextRequest(appliance: Appliance): Waiting | null {
  const { files, layout } = appliance;
  for (const name of files.list(layout.requests).slice(0, requestsMax)) {
    const path = join(layout.requests, name);
    if (!/^[0-9a-f-]{36}\.json$/.test(name)) continue; // half written, or nothing of ours
    const facts = files.stat(path);
    if (facts === null) continue;
    const parsed = mayAsk(appliance, facts) ? requestShape.safeParse(parseOrNull(appliance, path)) : null;
    if (parsed?.success && parsed.data.id === basename(name, '.json')) {
      return { path, byRoot: facts.uid === (process.getuid?.() ?? 0), request: parsed.data };
    }
    appliance.log(`${path} is not a request: removed`);
    files.removeTree(path);
  }
  return null;
}

function parseOrNull(appliance: Appliance, path: string, bytesMax = requestBytesMax): unknown {
  try {
    return readJson(appliance.files, path, bytesMax);
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

/**
 * Takes the next request of a person.
 * @returns what the machine has to do for it, `asked` when somebody wants a look at the server now, null when there is none
 */
export async function takeRequest(appliance: Appliance, state: StateBody): Promise<MachineEvent | 'asked' | null> {
  const waiting = nextRequest(appliance);
  if (waiting === null) return null;
  const { request, path } = waiting;
  try {
    switch (request.kind) {
      case 'check':
        answerRequest(appliance, request.id, 'done', 'looking for a release now');
        return 'asked';
      case 'retry':
        return retry(appliance, state, request.id, request.manifest ?? null);
      case 'rollback':
        return rollBack(appliance, state, request.id);
      case 'install':
        return await install(appliance, state, waiting, request);
      case 'set-sources':
        return setSources(appliance, request);
      default:
        return request satisfies never;
    }
  } finally {
    // Begun or refused, it is not done twice: a crash from here on loses at most a request that can be made again.
    appliance.files.unlink(path);
    appliance.files.syncDirectory(dirname(path));
  }
}

/**
 * The next request of a person to an updater whose records are those of a newer one ({@link standBy}): what needs no
 * record is done, and a bundle that is sound is left for the run that follows.
 * @returns `install`: such a bundle waits
 */
export async function takeRequestInStandBy(
  appliance: Appliance,
  state: StateBody,
): Promise<'install' | 'asked' | null> {
  const waiting = nextRequest(appliance);
  if (waiting === null) return null;
  const { request, path } = waiting;
  if (request.kind === 'install' && (await isSoundBundle(appliance, state, waiting, request))) return 'install';
  if (request.kind === 'retry' || request.kind === 'rollback') {
    const text = 'The state records are those of a newer updater; this one changes nothing. Install a bundle instead.';
    answerRequest(appliance, request.id, 'refused', text, 'records-newer');
  } else if (request.kind !== 'install') {
    const asked = await takeRequest(appliance, state);
    return asked === 'asked' ? asked : null;
  }
  appliance.files.unlink(path);
  appliance.files.syncDirectory(dirname(path));
  return null;
}

/** Looked at where it lies; the run that takes it looks again. A bad one is refused here, and nothing else changes. */
async function isSoundBundle(
  appliance: Appliance,
  state: StateBody,
  { byRoot }: Waiting,
  request: Extract<Request, { kind: 'install' }>,
): Promise<boolean> {
  const file = resolve(request.file);
  if (!mayInstall(appliance, byRoot, file, request.id)) return false;
  try {
    await chosenFile(appliance, state, file, file, true);
    return true;
  } catch (error) {
    const { text, code } = whyUnreadable(error, file);
    answerRequest(appliance, request.id, 'refused', text, code);
    if (!byRoot) appliance.files.unlink(file);
    return false;
  }
}

/** What a person sets stays until a higher number is signed; the old way out is kept until the new one answers. */
function setSources(appliance: Appliance, request: Extract<Request, { kind: 'set-sources' }>): 'asked' | null {
  const known = sourcesInUse(appliance)[0] ?? noSources;
  const { outcome, text } = takeSources(appliance, { ...known, ...request.sources }, 'page');
  answerRequest(appliance, request.id, outcome === 'refused' ? 'refused' : 'done', text);
  return outcome === 'refused' ? null : 'asked';
}

function retry(appliance: Appliance, state: StateBody, id: string, manifest: string | null): MachineEvent | 'asked' {
  // Whoever asks again does not want to wait for the back-off after a refusal either.
  forgetRefused(appliance);
  forgetBelowFloor(appliance);
  forgetSticks(appliance);
  const newest = state.quarantine.at(-1);
  const lifted = manifest === null ? newest : state.quarantine.find((entry) => entry.manifest === manifest);
  if (lifted === undefined) {
    answerRequest(appliance, id, 'done', 'no release is in quarantine; looking at the server now');
    return 'asked';
  }
  answerRequest(appliance, id, 'begun', `${lifted.version} may be tried again`);
  return { kind: 'lift', manifest: lifted.manifest };
}

function rollBack(appliance: Appliance, state: StateBody, id: string): MachineEvent | null {
  const way = wayBack(appliance, state);
  if (way.kind === 'refused') {
    answerRequest(appliance, id, 'refused', way.text, way.code);
    return null;
  }
  const { previous } = way;
  const { committed } = state.app;
  answerRequest(
    appliance,
    id,
    'begun',
    `going back from ${committed.version} to ${previous.version}; the data is kept`,
  );
  return { kind: 'return', trial: trialOf(appliance, previous.slot) };
}

/** A return is tried like any other switch, for as long as that version's manifest asks. */
export function trialOf(appliance: Appliance, slot: SlotName): Transaction['trial'] {
  const path = join(appliance.layout.slot('app', slot), manifestName);
  const manifest = manifestShape.safeParse(parseOrNull(appliance, path, manifestLimits.manifestBytesMax));
  const { healthyMs, deadlineMs, tries } = trialLength(manifest.data?.trial, appliance.settings);
  return { healthyMs, deadlineMs, tries };
}

function mayInstall(appliance: Appliance, byRoot: boolean, file: string, id: string): boolean {
  if (byRoot || dirname(file) === appliance.layout.uploads) return true;
  const text = 'The page may only install what was uploaded through it.';
  answerRequest(appliance, id, 'refused', text, 'not-uploaded');
  return false;
}

async function install(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  request: Extract<Request, { kind: 'install' }>,
): Promise<MachineEvent | null> {
  const { files } = appliance;
  const file = resolve(request.file);
  if (!mayInstall(appliance, waiting.byRoot, file, request.id)) return null;
  try {
    const choice = await bringFile(appliance, state, file, true);
    answerRequest(appliance, request.id, 'begun', `installing ${choice.component} ${choice.version} from a file`);
    return { kind: 'take', choice };
  } catch (error) {
    const { text, code } = whyUnreadable(error, file);
    answerRequest(appliance, request.id, 'refused', text, code);
    return null;
  } finally {
    if (!waiting.byRoot) files.unlink(file);
  }
}

/**
 * A bundle that somebody brought, looked at where it lies. It is not copied: of its chunks each is verified when it is
 * used, so whoever changes the file meanwhile only makes that fail. An upload becomes ours first.
 * @param byPerson somebody named this very file, so that quarantine does not count
 * @throws ReleaseError, and what reading the file throws; then nothing of an upload is left
 */
export async function bringFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  byPerson: boolean,
): Promise<Choice> {
  const { files, layout } = appliance;
  if (dirname(file) !== layout.uploads) return chosenFile(appliance, state, file, file, byPerson);
  const name = `upload-${randomUUID()}.hfb`;
  const own = join(layout.work, name);
  try {
    takeUpload(appliance, file, own);
    return await chosenFile(appliance, state, own, name, byPerson);
  } catch (error) {
    files.removeTree(own);
    if (!(error instanceof ReleaseError)) throw error;
    // The person knows it by the name that they gave it.
    throw new ReleaseError(error.code, error.message.replaceAll(own, file), { cause: error });
  }
}

/** What the person reads. */
function whyUnreadable(error: unknown, file: string): { text: string; code: RefusalCode | ReleaseErrorCode } {
  if (error instanceof ReleaseError)
    return { text: `${error.message} (${error.code}). ${error.next}`, code: error.code };
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = error.code === 'ENOENT' ? 'no-file' : 'file-unreadable';
  return {
    text: `${file} can not be read (${String(error.code)}). Check its name, and that the stick is there.`,
    code,
  };
}

async function chosenFile(
  appliance: Appliance,
  state: StateBody,
  file: string,
  sourcePath: string,
  byPerson: boolean,
): Promise<Choice> {
  if (sourcePath.length > pathMax) throw new ReleaseError('no-file', `the path ${file} is too long`);
  const acceptance = acceptanceOf(appliance, state, byPerson);
  const { manifest, manifestDigest, bundle } = await resolveFromFile(appliance, file, acceptance);
  bundle.source.close();
  const { component, version } = manifest;
  const source = { kind: 'file', path: sourcePath } as const;
  return { kind: 'install', component, version, manifest: manifestDigest, source, waits: false };
}

/** From the page's directory into ours, where the page can not take it away. */
function takeUpload({ files, layout }: Appliance, from: string, to: string): void {
  files.makeDirectory(layout.work, 0o700);
  if (files.stat(from)?.kind !== 'file') throw new ReleaseError('no-file', `${from} is not there as a file`);
  files.rename(from, to);
  files.syncDirectory(layout.work);
}
