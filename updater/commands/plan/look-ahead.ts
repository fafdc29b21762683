import type { Desired } from '../../../protocol/check-in.ts';
import { RecordError } from '../../../protocol/record.ts';
import type { Quarantined, StateBody } from '../../../protocol/state-record.ts';
import type { Appliance } from '../../appliance/appliance.ts';
import { currentNonce } from '../../appliance/current-start.ts';
import { isBackingOff, troubleOf } from '../../choice/refused.ts';
import { isBelowFloor, undoneByServer, wantedOf } from '../../choice/wanted.ts';
import { rulesOf } from '../../machine/component-rules.ts';
import type { Choice } from '../../machine/event.ts';
import { next } from '../../machine/table.ts';
import { transactionOf } from '../../machine/transaction.ts';
import { readHistory } from '../../outcome/history.ts';
import { loadState, StateError } from '../../record/state-store.ts';
import { deviceSlotsOf } from '../../release/device-slots.ts';
import { plannedChunks } from '../../release/fetch-chunks.ts';
import type { ResolvedRelease } from '../../release/resolve-release.ts';
import { verifyRuntime } from '../../release/verify-slot.ts';
import { bringFile } from '../../requests/bring-file.ts';
import { runsAlready } from '../../requests/runs-already.ts';
import { loadRemembered } from '../../server/remembered-answer.ts';
import { during, lastRollback, quarantinedSentence } from '../../status/sentences.ts';
import { networkCodes } from '../../transaction/brought.ts';
import { driverOf } from '../../transaction/driver-of.ts';
import { sizesOf, trustedRelease } from '../../transaction/release.ts';
import { ReleaseError } from '../../trust/release-error.ts';
import { readAgentHealth } from '../../watch/agent-health.ts';
import { nameOf } from '../../words/component-words.ts';
import { sentence as asSentence } from '../../words/sentence.ts';
import { planTexts } from '../../words/texts.ts';
import { type Found, noPlan, type Plan, planOf, type Reason } from './plan.ts';

/**
 * What the updater would do now, found by the code that really decides it, on an appliance whose files change in memory
 * only ({@link filesUnchanged}). It takes no lock: if a run is at work, the plan shows one moment of it.
 */

type Chosen = { readonly kind: 'choice'; readonly choice: Choice } | { readonly kind: 'none'; readonly plan: Plan };

const none = (outcome: Plan['outcome'], sentence: string, ...reasons: Reason[]): Chosen => {
  return { kind: 'none', plan: noPlan(outcome, sentence, reasons) };
};
const retryIt = planTexts.retry;

/** @param file a bundle that a person names; null: what the server wants */
export async function lookAhead(appliance: Appliance, file: string | null): Promise<Plan> {
  const rest = restOrWhy(appliance);
  if (rest.kind === 'none') return rest.plan;
  const { state } = rest;
  const chosen = file === null ? wantedByServer(appliance, state) : await broughtFile(appliance, state, file);
  if (chosen.kind === 'none') return chosen.plan;
  try {
    const found = await look(appliance, state, chosen.choice);
    const made = planOf(state, chosen.choice, found, await waitsFor(appliance, chosen.choice));
    return { ...made, reasons: [...made.reasons, ...undoneLater(appliance, state, chosen.choice)] };
  } catch (error) {
    const { component, version, source } = chosen.choice;
    return whyNot(error, `${component} ${version}`, source.kind);
  }
}

type AtRest = { readonly kind: 'rest'; readonly state: StateBody } | { readonly kind: 'none'; readonly plan: Plan };

/** Something new begins only when nothing is in flight. */
export function restOrWhy(appliance: Appliance): AtRest {
  const state = stateOrWhy(appliance);
  if ('code' in state) return { kind: 'none', plan: noPlan('unknown', state.sentence, [state]) };
  if (state.row === 'idle' || state.row === 'safe') return { kind: 'rest', state };
  const goesOn = during(state) ?? planTexts.givenUpNow;
  const then = planTexts.givenUpNowNext;
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
      next: planTexts.looksAtSlots,
    };
  }
}

/** @param source a network failure says nothing about a release; a fault in a file refuses it */
function whyNot(error: unknown, subject: string, source: Choice['source']['kind']): Plan {
  if (error instanceof ReleaseError) {
    const { code, message, next: then } = error;
    const reason = { code, sentence: `${message}.`, next: then };
    const isUnknown = source === 'server' && networkCodes.has(code);
    const text = isUnknown ? planTexts.takesUnknown(subject) : planTexts.refused(subject);
    return noPlan(isUnknown ? 'unknown' : 'refused', text, [reason]);
  }
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = error.code === 'ENOENT' ? 'no-file' : 'file-unreadable';
  const reason = { code, sentence: `${error.message}.`, next: planTexts.stickThere };
  return noPlan('refused', planTexts.refused(subject), [reason]);
}

async function broughtFile(appliance: Appliance, state: StateBody, file: string): Promise<Chosen> {
  try {
    const choice = await bringFile(appliance, state, file, true);
    if (runsAlready(appliance, state, choice)) return none('nothing', planTexts.runsAlready(choice.version));
    const why = rulesOf(choice.component).whyNotNow(state);
    if (why === null) return { kind: 'choice', choice };
    const sentence = asSentence(planTexts.notInstalled(nameOf(choice.component, choice.version), why));
    const then = planTexts.notInstalledNext;
    return none('refused', sentence, { code: 'updater-waits', sentence, next: then });
  } catch (error) {
    return { kind: 'none', plan: whyNot(error, file, 'file') };
  }
}

function wantedByServer(appliance: Appliance, state: StateBody): Chosen {
  const { desired, answered, error } = loadRemembered(appliance.files, appliance.layout);
  if (answered === null) {
    const sentence = error === null ? planTexts.serverNotAsked : error.message;
    const reason = {
      code: error?.code ?? 'not-asked',
      sentence: `${sentence}.`,
      next: error?.next ?? planTexts.startRun,
    };
    return none('unknown', planTexts.wantedUnknown, reason);
  }
  const wanted = wantedOf(state, desired);
  const runs = state.app.committed.version;
  switch (wanted.kind) {
    case 'nothing': {
      if (wanted.why === 'is-here') return none('nothing', planTexts.wantedRuns(runs));
      const left = leftHere(state, desired);
      if (left !== undefined) {
        const sentence = quarantinedSentence(state, left);
        return none('nothing', sentence, { code: 'quarantined', sentence, next: retryIt });
      }
      const reasons = (desired?.reasons ?? []).map((text) => {
        return {
          code: 'held',
          sentence: asSentence(text),
          next: planTexts.serverDecides,
        };
      });
      return none('nothing', planTexts.nothingWanted(runs), ...reasons);
    }
    case 'hold':
      return none('nothing', `${wanted.reason}.`, {
        code: 'held-here',
        sentence: `${wanted.reason}.`,
        next: planTexts.assignIt,
      });
    case 'take':
      return notYet(appliance, state, wanted.choice) ?? { kind: 'choice', choice: wanted.choice };
    default:
      return wanted satisfies never;
  }
}

/**
 * The quarantined release that would otherwise be wanted; the server, which knows about it, names it in its reasons.
 */
function leftHere(state: StateBody, desired: Desired | null): Quarantined | undefined {
  const offered = state.quarantine.find(({ manifest }) => manifest === desired?.release?.manifest);
  if (offered !== undefined) return offered;
  const last = lastRollback(state);
  const isNamed = desired?.reasons.some((text) => text.includes(planTexts.inQuarantine(last?.version))) === true;
  return isNamed ? last : undefined;
}

function notYet(appliance: Appliance, state: StateBody, { version, manifest }: Choice): Chosen | null {
  const { desired } = loadRemembered(appliance.files, appliance.layout);
  const trouble = troubleOf(appliance, state, desired);
  const why = trouble === null || trouble === '' ? null : asSentence(trouble);
  if (isBelowFloor(appliance, manifest)) {
    const sentence = why ?? planTexts.belowFloor(version);
    return none('refused', sentence, { code: 'floor', sentence, next: new ReleaseError('floor', '').next });
  }
  if (!isBackingOff(appliance, manifest)) return null;
  const sentence = why ?? planTexts.refusedBefore(version);
  return none('refused', sentence, { code: 'backing-off', sentence, next: planTexts.triedAgain(retryIt) });
}

async function waitsFor(appliance: Appliance, { waits, version }: Choice): Promise<Reason[]> {
  const { files, layout } = appliance;
  const { desired } = loadRemembered(files, layout);
  if (!waits || (desired?.openForS ?? 0) > 0) return [];
  const { answer } = await readAgentHealth(appliance);
  // Only a healthy agent has work that an update waits for.
  if (answer === null || answer.nonce !== currentNonce(files, layout)) return [];
  const sentence = planTexts.windowClosed(version);
  return [{ code: 'window-closed', sentence, next: planTexts.windowClosedNext }];
}

/** Whether the server will replace what a person installs. */
function undoneLater({ files, layout, identity }: Appliance, state: StateBody, choice: Choice): Reason[] {
  if (choice.source.kind === 'server') return [];
  const undone = undoneByServer(state, loadRemembered(files, layout).desired, choice, identity.name);
  return undone === null
    ? []
    : [{ code: 'server-brings-another', sentence: asSentence(undone.sentence), next: undone.next }];
}

async function look(appliance: Appliance, state: StateBody, choice: Choice): Promise<Found> {
  const { files, layout, settings } = appliance;
  const begun = next(state, { kind: 'take', choice });
  const transaction = transactionOf(begun);
  const release = await trustedRelease(appliance, begun, transaction);
  try {
    const slot = driverOf(transaction).freeSlot(appliance, begun);
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
      // A bundle from a file is read in place.
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
