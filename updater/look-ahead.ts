import { RecordError } from '../protocol/record.ts';
import type { StateBody } from '../protocol/state-record.ts';
import { readHealth } from './agent-health.ts';
import type { Appliance } from './appliance.ts';
import { loadRemembered } from './check-in.ts';
import { currentNonce } from './current-start.ts';
import { readHistory } from './history.ts';
import { next } from './machine.ts';
import type { Choice } from './machine-event.ts';
import { type Found, noPlan, type Plan, planOf, type Reason } from './plan.ts';
import { deviceSlotsOf } from './release/device-slots.ts';
import { plannedChunks } from './release/fetch-chunks.ts';
import { ReleaseError } from './release/release-error.ts';
import type { ResolvedRelease } from './release/resolve-release.ts';
import { verifyRuntime } from './release/verify-slot.ts';
import { sentence as asSentence, during, quarantinedSentence } from './sentences.ts';
import { loadState, StateError } from './state-store.ts';
import { bringFile } from './steps/bring-file.ts';
import { isBackingOff, troubleOf } from './steps/refused.ts';
import { networkCodes, sizesOf, slotToWrite, trustedRelease } from './steps/release.ts';
import { isBelowFloor, wantedOf, whyNoNewUpdater } from './steps/wanted.ts';
import { transactionOf } from './transitions.ts';

/**
 * What the updater would do now, found out by what really decides it, on an appliance whose files are changed in memory only
 * ({@link filesUnchanged}). It takes no lock: what a run at work changes meanwhile is told as it was at one moment.
 */

type Chosen = { readonly kind: 'choice'; readonly choice: Choice } | { readonly kind: 'none'; readonly plan: Plan };

const none = (outcome: Plan['outcome'], sentence: string, ...reasons: Reason[]): Chosen => {
  return { kind: 'none', plan: noPlan(outcome, sentence, reasons) };
};
const retryIt = 'Use retry to have it tried again, or roll out a newer release.';

/** @param file a bundle that a person names; null: what the server wants */
export async function lookAhead(appliance: Appliance, file: string | null): Promise<Plan> {
  const rest = restOrWhy(appliance);
  if (rest.kind === 'none') return rest.plan;
  const { state } = rest;
  const chosen = file === null ? wantedByServer(appliance, state) : await broughtFile(appliance, state, file);
  if (chosen.kind === 'none') return chosen.plan;
  try {
    const found = await look(appliance, state, chosen.choice);
    return planOf(state, chosen.choice, found, await waitsFor(appliance, chosen.choice));
  } catch (error) {
    const { component, version, source } = chosen.choice;
    return whyNot(error, `${component} ${version}`, source.kind);
  }
}

type AtRest = { readonly kind: 'rest'; readonly state: StateBody } | { readonly kind: 'none'; readonly plan: Plan };

/** Something new begins only where nothing is under way. */
export function restOrWhy(appliance: Appliance): AtRest {
  const state = stateOrWhy(appliance);
  if ('code' in state) return { kind: 'none', plan: noPlan('unknown', state.sentence, [state]) };
  if (state.row === 'idle' || state.row === 'safe') return { kind: 'rest', state };
  const goesOn = during(state) ?? 'The version before is being given up.';
  const then = 'Wait for its end: holdfast-updater status tells of it.';
  return { kind: 'none', plan: noPlan('refused', goesOn, [{ code: 'in-flight', sentence: goesOn, next: then }]) };
}

function stateOrWhy({ files, layout }: Appliance): StateBody | Reason {
  try {
    return loadState(files, layout);
  } catch (error) {
    if (!(error instanceof StateError || error instanceof RecordError)) throw error;
    return {
      code: error.code,
      sentence: `${error.message}.`,
      next: 'Start one run, which looks at the slots: holdfast-updater run',
    };
  }
}

/** @param source what the network did says nothing about a release, and what is wrong with a file says that it is refused */
function whyNot(error: unknown, subject: string, source: Choice['source']['kind']): Plan {
  if (error instanceof ReleaseError) {
    const { code, message, next: then } = error;
    const reason = { code, sentence: `${message}.`, next: then };
    const isUnknown = source === 'server' && networkCodes.has(code);
    const text = isUnknown
      ? `What ${subject} takes is unknown: it can not be looked at now.`
      : `${subject} is refused.`;
    return noPlan(isUnknown ? 'unknown' : 'refused', text, [reason]);
  }
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = error.code === 'ENOENT' ? 'no-file' : 'file-unreadable';
  const reason = { code, sentence: `${error.message}.`, next: 'Check its name, and that the stick is there.' };
  return noPlan('refused', `${subject} is refused.`, [reason]);
}

async function broughtFile(appliance: Appliance, state: StateBody, file: string): Promise<Chosen> {
  try {
    const choice = await bringFile(appliance, state, file, true);
    const why = choice.component === 'updater' ? whyNoNewUpdater(state) : null;
    if (why === null) return { kind: 'choice', choice };
    const sentence = `Updater ${choice.version} is not installed now: ${why}.`;
    const then = 'Install it when that time is over.';
    return none('refused', sentence, { code: 'updater-waits', sentence, next: then });
  } catch (error) {
    return { kind: 'none', plan: whyNot(error, file, 'file') };
  }
}

function wantedByServer(appliance: Appliance, state: StateBody): Chosen {
  const { desired, answered, error } = loadRemembered(appliance.files, appliance.layout);
  if (answered === null) {
    const sentence = error === null ? 'the server has not been asked since the boot' : error.message;
    const reason = {
      code: error?.code ?? 'not-asked',
      sentence: `${sentence}.`,
      next: error?.next ?? 'Start one run: holdfast-updater run',
    };
    return none('unknown', 'What the server wants is unknown.', reason);
  }
  const wanted = wantedOf(state, desired);
  const runs = state.app.committed.version;
  switch (wanted.kind) {
    case 'nothing': {
      if (wanted.why === 'is-here')
        return none('nothing', `Nothing to do: ${runs} runs, and it is what the server wants.`);
      const left = state.quarantine.find(({ manifest }) => manifest === desired?.release?.manifest);
      if (left !== undefined) {
        const sentence = quarantinedSentence(state, left);
        return none('refused', sentence, { code: 'quarantined', sentence, next: retryIt });
      }
      const reasons = (desired?.reasons ?? []).map((text) => {
        return {
          code: 'held',
          sentence: asSentence(text),
          next: 'The server decides that: holdfast fleet tells more.',
        };
      });
      return none('nothing', `Nothing to do: the server wants no release here; ${runs} runs.`, ...reasons);
    }
    case 'hold':
      return none('refused', `${wanted.reason}.`, {
        code: 'held-here',
        sentence: `${wanted.reason}.`,
        next: 'Install it from a file, or assign it.',
      });
    case 'take':
      return notYet(appliance, state, wanted.choice) ?? { kind: 'choice', choice: wanted.choice };
    default:
      return wanted satisfies never;
  }
}

function notYet(appliance: Appliance, state: StateBody, { version, manifest }: Choice): Chosen | null {
  const { desired } = loadRemembered(appliance.files, appliance.layout);
  const trouble = troubleOf(appliance, state, desired);
  const why = trouble === null || trouble === '' ? null : asSentence(trouble);
  if (isBelowFloor(appliance, manifest)) {
    const sentence = why ?? `${version} has a security version below the floor here.`;
    return none('refused', sentence, { code: 'floor', sentence, next: new ReleaseError('floor', '').next });
  }
  if (!isBackingOff(appliance, manifest)) return null;
  const sentence = why ?? `${version} was refused a short while ago.`;
  return none('refused', sentence, { code: 'backing-off', sentence, next: `It is tried again by itself. ${retryIt}` });
}

async function waitsFor({ files, layout }: Appliance, { waits, version }: Choice): Promise<Reason[]> {
  const { desired } = loadRemembered(files, layout);
  if (!waits || (desired?.openForS ?? 0) > 0) return [];
  const { answer } = await readHealth(layout.agentSocket);
  // Only a healthy agent has work that an update waits for.
  if (answer === null || answer.nonce !== currentNonce(files, layout)) return [];
  const sentence = `The window of this appliance is closed: ${version} is prepared, and the switch waits for it.`;
  return [{ code: 'window-closed', sentence, next: 'Wait for the window, or install the release from a file.' }];
}

async function look(appliance: Appliance, state: StateBody, choice: Choice): Promise<Found> {
  const { files, layout, settings } = appliance;
  const begun = next(state, { kind: 'take', choice });
  const transaction = transactionOf(begun);
  const release = await trustedRelease(appliance, begun, transaction);
  try {
    const slot = slotToWrite(appliance, begun, transaction);
    const place = {
      files,
      layout,
      tx: transaction.tx,
      slot: layout.slot(choice.component, slot),
      devices: deviceSlotsOf(layout, settings.os),
    };
    const { fetchedBytes, reusedBytes } = plannedChunks(place, release.manifest, release.bundle);
    return {
      ...sizesOf(appliance, begun, transaction, release),
      slot,
      filesToWrite: filesOf(appliance, release),
      // What a file brings is read where it lies.
      fetchedBytes: choice.source.kind === 'server' ? fetchedBytes : 0,
      reusedBytes,
      history: readHistory(files, layout),
    };
  } finally {
    release.bundle.source.close();
  }
}

function filesOf({ files, layout }: Appliance, { manifest }: ResolvedRelease): number {
  const { runtime } = manifest;
  const isHere = runtime === null || verifyRuntime(files, layout, runtime.digest).sound;
  return manifest.files.length + (isHere ? 0 : runtime.files.length);
}
