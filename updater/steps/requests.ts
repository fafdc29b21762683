import { randomUUID } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { type Request, requestBytesMax, requestShape } from '../../protocol/request.ts';
import { manifestName } from '../../protocol/seal.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { FileFacts } from '../effects/files.ts';
import type { Choice, MachineEvent } from '../machine-event.ts';
import { ReleaseError, type ReleaseErrorCode } from '../release/release-error.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { trialLength } from '../settings.ts';
import { acceptanceOf } from './acceptance.ts';
import { forgetRefused } from './refused.ts';
import { canRead } from './switch.ts';

/** Requests that one run looks at; more wait for the next one. */
const requestsMax = 16;
/** A bundle that a person brings, copied here before anything of it is believed. */
const uploadBytesMax = 2 * 1024 * 1024 * 1024;
const copyBytesAtOnce = 1024 * 1024;

export type RequestOutcome = 'done' | 'begun' | 'refused';
/** Beside what can be wrong with a bundle. */
type RefusalCode = 'no-previous' | 'state-not-readable' | 'not-uploaded' | 'file-unreadable';

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
      default:
        return request satisfies never;
    }
  } finally {
    // Begun or refused, it is not done twice: a crash from here on loses at most a request that can be made again.
    appliance.files.unlink(path);
    appliance.files.syncDirectory(dirname(path));
  }
}

function retry(appliance: Appliance, state: StateBody, id: string, manifest: string | null): MachineEvent | 'asked' {
  // Whoever asks again does not want to wait for the back-off after a refusal either.
  forgetRefused(appliance);
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
  const { previous, committed } = state.app;
  if (previous === null) {
    answerRequest(
      appliance,
      id,
      'refused',
      'There is no previous version to go back to. Install a bundle from a file instead.',
      'no-previous',
    );
    return null;
  }
  if (!canRead(appliance, previous.slot, committed.slot)) {
    const text =
      `${previous.version} can not read the data that ${committed.version} writes, so going back would lose it. ` +
      'Nothing was changed. Install a newer release instead.';
    answerRequest(appliance, id, 'refused', text, 'state-not-readable');
    return null;
  }
  answerRequest(
    appliance,
    id,
    'begun',
    `going back from ${committed.version} to ${previous.version}; the data is kept`,
  );
  return { kind: 'return', trial: trialOf(appliance, previous.slot) };
}

/** A return is tried like any other switch, for as long as that version's manifest asks. */
function trialOf(appliance: Appliance, slot: SlotName): Transaction['trial'] {
  const path = join(appliance.layout.slot('app', slot), manifestName);
  const manifest = manifestShape.safeParse(parseOrNull(appliance, path, manifestLimits.manifestBytesMax));
  const { healthyMs, deadlineMs, tries } = trialLength(manifest.data?.trial, appliance.settings);
  return { healthyMs, deadlineMs, tries };
}

async function install(
  appliance: Appliance,
  state: StateBody,
  waiting: Waiting,
  request: Extract<Request, { kind: 'install' }>,
): Promise<MachineEvent | null> {
  const { files, layout } = appliance;
  const file = resolve(request.file);
  if (!waiting.byRoot && dirname(file) !== layout.uploads) {
    const text = 'The page may only install what was uploaded through it.';
    answerRequest(appliance, request.id, 'refused', text, 'not-uploaded');
    return null;
  }
  const copy = join(layout.work, `upload-${randomUUID()}.hfb`);
  try {
    files.makeDirectory(layout.work, 0o700);
    copyUpload(appliance, file, copy);
    const choice = await chosenFile(appliance, state, copy);
    answerRequest(appliance, request.id, 'begun', `installing ${choice.component} ${choice.version} from a file`);
    return { kind: 'take', choice };
  } catch (error) {
    files.unlink(copy);
    const { text, code } = whyUnreadable(error, file, copy);
    answerRequest(appliance, request.id, 'refused', text, code);
    return null;
  } finally {
    if (!waiting.byRoot) files.unlink(file);
  }
}

/** What the person reads; the copy in work/ is ours, so the file is named as they named it. */
function whyUnreadable(
  error: unknown,
  file: string,
  copy: string,
): { text: string; code: RefusalCode | ReleaseErrorCode } {
  if (error instanceof ReleaseError) {
    const message = error.message.replaceAll(copy, file);
    return { text: `${message} (${error.code}). ${error.next}`, code: error.code };
  }
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = error.code === 'ENOENT' ? 'no-file' : 'file-unreadable';
  return {
    text: `${file} can not be read (${String(error.code)}). Check its name, and that the stick is there.`,
    code,
  };
}

async function chosenFile(appliance: Appliance, state: StateBody, copy: string): Promise<Choice> {
  const { manifest, manifestDigest, bundle } = await resolveFromFile(
    appliance,
    copy,
    acceptanceOf(appliance, state, true),
  );
  bundle.source.close();
  const { component, version } = manifest;
  return {
    kind: 'install',
    component,
    version,
    manifest: manifestDigest,
    source: { kind: 'file', path: basename(copy) },
    waits: false,
  };
}

/** Copied through an open handle: whatever happens to the name afterwards, what is verified is what is installed. */
function copyUpload(appliance: Appliance, from: string, to: string): void {
  const { files } = appliance;
  const source = files.openRead(from);
  try {
    const target = files.create(to, 0o600);
    try {
      for (let at = 0; ; ) {
        const bytes = files.read(source, at, copyBytesAtOnce);
        if (bytes.length === 0) break;
        files.write(target, bytes, at);
        at += bytes.length;
        if (at > uploadBytesMax) throw new ReleaseError('not-a-bundle', 'the file is larger than any bundle may be');
      }
      files.sync(target);
    } finally {
      files.close(target);
    }
  } finally {
    files.close(source);
  }
}
