import { addressBelow } from '../../protocol/address.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { stateBytes, stateBytesMaxDefault } from '../agent-data/snapshot.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { hasRequest } from '../appliance/request-name.ts';
import { acceptanceOf } from '../choice/acceptance.ts';
import { noteRefused, noteTrouble } from '../choice/refused.ts';
import { noteBelowFloor } from '../choice/wanted.ts';
import { trialLength } from '../identity/settings.ts';
import type { MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found } from '../outcome/outcome.ts';
import { fileSource } from '../release/byte-source.ts';
import { probeWritable, requireSpace } from '../release/check-space.ts';
import { deviceSlotsOf } from '../release/device-slots.ts';
import { fetchChunks } from '../release/fetch-chunks.ts';
import { type Bundle, openBundle } from '../release/open-bundle.ts';
import { giveUpSpace, reserveSpace } from '../release/reserve.ts';
import {
  keepManifest,
  keptManifest,
  type ResolvedRelease,
  resolveFromFile,
  resolveFromServer,
} from '../release/resolve-release.ts';
import { writeSlot } from '../release/write-slot.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { loadTrust, raiseTrustedTime } from '../trust/trust-store.ts';
import { transactionTexts } from '../words/texts.ts';
import { broughtPath, networkCodes } from './brought.ts';
import { driverOf } from './driver-of.ts';

/** The rows in which a release becomes a written slot. */

/** Kept free for records, evidence and history, besides what a transaction needs. */
const reserveBytes = 64 * 1024 * 1024;

/** Verified metadata and manifest, from the transaction's source. @throws ReleaseError */
function resolved(appliance: Appliance, state: StateBody, transaction: Transaction): Promise<ResolvedRelease> {
  const { source, component, version, manifest, kind } = transaction;
  const acceptance = acceptanceOf(appliance, state, kind === 'install');
  if (source.kind === 'file') return resolveFromFile(appliance, broughtPath(appliance, transaction), acceptance);
  const base = addressBelow(appliance.identity.url, source.path);
  return resolveFromServer(appliance, base, { component, version, manifest }, acceptance);
}

/** A person's request, or a newer decision of the server, replaces an update that has not been written yet (S60). */
function isSuperseded(appliance: Appliance, transaction: Transaction): boolean {
  if (hasRequest(appliance)) return transaction.kind === 'update';
  const wanted = loadRemembered(appliance.files, appliance.layout).desired?.release;
  return transaction.kind === 'update' && wanted !== undefined && wanted?.manifest !== transaction.manifest;
}

async function guarded(
  appliance: Appliance,
  state: StateBody,
  work: (transaction: Transaction) => Promise<MachineEvent>,
): Promise<Found> {
  const transaction = transactionOf(state);
  if (isSuperseded(appliance, transaction)) {
    appliance.log(transactionTexts.givenUpForNewer(transaction.version));
    return { kind: 'refused' };
  }
  try {
    return await work(transaction);
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    const text = transactionTexts.notInstalled(transaction.version, error.message, error.code, error.next);
    appliance.log(text);
    const isUpdate = transaction.kind === 'update';
    if ((isUpdate && networkCodes.has(error.code)) || error.code === 'chunk-missing') {
      noteTrouble(appliance, transaction.tx, `${error.message} (${error.code})`);
      return { kind: 'interrupted' };
    }
    // A bad copy that somebody brought says nothing about the server's copy.
    if (isUpdate) noteRefused(appliance, transaction.manifest, text);
    if (isUpdate && error.code === 'floor') noteBelowFloor(appliance, transaction.manifest);
    const end = { outcome: 'refused', reason: error.code, text, isTemporary: error.temporary } as const;
    return { kind: 'refused', end: { ...end, downMs: null, revertedMs: null } };
  }
}

/** Verifies metadata, trusts the manifest, checks compatibility, all sizes and space; nothing has been changed yet. */
export function resolveTransaction(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, async (transaction) => {
    const release = await trustedRelease(appliance, state, transaction);
    memory.release = release;
    const { files, layout, log } = appliance;
    const { tx, component } = transaction;
    probeWritable({ files, layout, slot: layout.slot(component, driverOf(transaction).freeSlot(appliance, state)) });
    keepManifest(appliance, tx, release.manifestBytes);
    const { reserved, trial, securityVersion } = sizesOf(appliance, state, transaction, release);
    reserveSpace({ files, layout, tx, log }, reserved);
    const { shortened: _shortened, ...length } = trial;
    return { kind: 'resolved', securityVersion, trial: length };
  });
}

/** With the trusted time from the server's last answer. @throws ReleaseError */
export async function trustedRelease(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
): Promise<ResolvedRelease> {
  const { issuedAtS } = loadRemembered(appliance.files, appliance.layout);
  raiseTrustedTime(appliance, loadTrust(appliance), issuedAtS);
  return resolved(appliance, state, transaction);
}

/** What a transaction will write, row by row, and the length of its trial. @throws ReleaseError `no-space` */
export function sizesOf(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
  { manifest }: Pick<ResolvedRelease, 'manifest'>,
) {
  const { files, layout, settings } = appliance;
  const { tx, source, component } = transaction;
  const slot = layout.slot(component, driverOf(transaction).freeSlot(appliance, state));
  // A bundle from a file is read in place.
  const place = { files, layout, tx, slot, copiesFrames: source.kind === 'server' };
  const agentState = stateBytes(files, layout, stateBytesMaxDefault, appliance.settings.agentUser);
  const needs = requireSpace(place, manifest, reserveBytes + agentState);
  return {
    reserved: { fetching: needs.frames, writing: needs.slot, snapped: agentState },
    trial: trialLength(manifest.trial, settings),
    securityVersion: manifest.securityVersion,
  };
}

export function fetchRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, async (transaction) => {
    const startedMs = appliance.clock.monoMs();
    const release = memory.release ?? (await resolved(appliance, state, transaction));
    memory.release = null;
    const { files, layout, settings } = appliance;
    const slot = driverOf(transaction).freeSlot(appliance, state);
    const directory = layout.slot(transaction.component, slot);
    const place = { files, layout, tx: transaction.tx, slot: directory, devices: deviceSlotsOf(layout, settings.os) };
    // Without the manifest nothing could be written, and the transaction would return here for ever.
    if (keptManifest(files, layout, transaction.tx, transaction.manifest) === null) {
      keepManifest(appliance, transaction.tx, release.manifestBytes);
    }
    try {
      giveUpSpace(place, 'fetching');
      if (transaction.source.kind === 'file') return { kind: 'fetched', fetchedMs: 1, slot };
      const { fetchedBytes } = await fetchChunks(place, release.manifest, release.bundle);
      const fetchedMs = Math.max(1, Math.round(appliance.clock.monoMs() - startedMs));
      appliance.log(transactionTexts.bytesFetched(transaction.version, fetchedBytes, fetchedMs));
      return { kind: 'fetched', fetchedMs, slot };
    } finally {
      release.bundle.source.close();
    }
  });
}

export function writeRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, async (transaction) => {
    const { files, layout, settings } = appliance;
    const { tx, slot } = transaction;
    const kept = keptManifest(files, layout, tx, transaction.manifest);
    if (kept === null || slot === null) {
      throw new ReleaseError('chunk-missing', transactionTexts.manifestGone);
    }
    const bundle = await openBrought(appliance, transaction);
    giveUpSpace({ files, layout, tx }, 'writing');
    try {
      writeSlot({ files, layout, tx, slot, devices: deviceSlotsOf(layout, settings.os), bundle, ...kept });
    } finally {
      bundle?.source.close();
    }
    memory.written = { tx, manifest: transaction.manifest };
    return { kind: 'written' };
  });
}

/**
 * Opens the brought bundle again: it must still be the verified one. Each chunk is verified when it is used, so a
 * change of the file can only make this fail.
 */
async function openBrought(appliance: Appliance, transaction: Transaction): Promise<Bundle | null> {
  if (transaction.source.kind !== 'file') return null;
  const path = broughtPath(appliance, transaction);
  const source = fileSource(appliance.files, path);
  try {
    const bundle = await openBundle(source);
    if (sha256(bundle.manifestBytes) === transaction.manifest) return bundle;
    throw new ReleaseError('no-file', transactionTexts.bundleChanged(path));
  } catch (error) {
    source.close();
    throw error;
  }
}
