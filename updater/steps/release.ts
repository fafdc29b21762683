import { resolve } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { fileSource } from '../release/byte-source.ts';
import { probeWritable, requireSpace } from '../release/check-space.ts';
import { deviceSlotsOf } from '../release/device-slots.ts';
import { fetchChunks } from '../release/fetch-chunks.ts';
import { type Bundle, openBundle } from '../release/open-bundle.ts';
import { ReleaseError } from '../release/release-error.ts';
import { giveUpSpace, reserveSpace } from '../release/reserve.ts';
import {
  keepManifest,
  keptManifest,
  type ResolvedRelease,
  resolveFromFile,
  resolveFromServer,
} from '../release/resolve-release.ts';
import { loadTrust, raiseTrustedTime } from '../release/trust-store.ts';
import { writeSlot } from '../release/write-slot.ts';
import { trialLength } from '../settings.ts';
import { incomingSlot, transactionOf } from '../transitions.ts';
import { acceptanceOf } from './acceptance.ts';
import { agentFacts } from './crashes.ts';
import { keepAgentUp } from './keep-agent.ts';
import { recordOutcome } from './outcome.ts';
import { noteRefused, noteTrouble } from './refused.ts';
import { reportToServer } from './report.ts';
import { hasRequest } from './request-name.ts';
import { stateBytes, stateBytesMaxDefault } from './snapshot.ts';
import { noteBelowFloor } from './wanted.ts';

/** The rows in which a release becomes a written slot. */

/** Kept free for records, evidence and history beside what a transaction needs. */
const reserveBytes = 64 * 1024 * 1024;

/** What the network did to us says nothing about the release: the next run carries on where this one stopped. */
export const networkCodes = new Set<string>(['unreachable', 'stalled', 'timed-out', 'truncated', 'http-status']);

/** Metadata and manifest, verified, from where the transaction says. @throws ReleaseError */
function resolved(appliance: Appliance, state: StateBody, transaction: Transaction): Promise<ResolvedRelease> {
  const { source, component, version, manifest, kind } = transaction;
  const acceptance = acceptanceOf(appliance, state, kind === 'install');
  if (source.kind === 'file') return resolveFromFile(appliance, broughtPath(appliance, transaction), acceptance);
  const base = appliance.identity.url.replace(/\/$/, '') + source.path;
  return resolveFromServer(appliance, base, { component, version, manifest }, acceptance);
}

/** A file that somebody brought lies where they have it, or in work/ when it was uploaded. */
export function broughtPath({ layout }: Appliance, { source }: Transaction): string {
  return resolve(layout.work, source.path);
}

/** A person, or a newer decision of the server, goes before an update that has not been written yet (S60). */
function isSuperseded(appliance: Appliance, transaction: Transaction): boolean {
  if (hasRequest(appliance)) return transaction.kind === 'update';
  const wanted = loadRemembered(appliance.files, appliance.layout).desired?.release;
  return transaction.kind === 'update' && wanted !== undefined && wanted?.manifest !== transaction.manifest;
}

async function guarded(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  work: (transaction: Transaction) => Promise<MachineEvent>,
): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  if (isSuperseded(appliance, transaction)) {
    appliance.log(`${transaction.version} is left for something newer`);
    return { kind: 'refused' };
  }
  try {
    return await work(transaction);
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    const text = `${transaction.version} was not installed: ${error.message} (${error.code}). ${error.next}`;
    appliance.log(text);
    const isUpdate = transaction.kind === 'update';
    if ((isUpdate && networkCodes.has(error.code)) || error.code === 'chunk-missing') {
      noteTrouble(appliance, transaction.tx, `${error.message} (${error.code})`);
      // Where releases come from may be broken for weeks: the server must hear of it and be able to decide anew (S60).
      await reportToServer(appliance, state, memory, { fresh: false });
      await keepAgentUp(appliance, state, await agentFacts(appliance));
      return { kind: 'interrupted' };
    }
    // A bad copy that somebody brought says nothing about the server's.
    if (isUpdate) noteRefused(appliance, transaction.manifest, text);
    if (isUpdate && error.code === 'floor') noteBelowFloor(appliance, transaction.manifest);
    recordOutcome(appliance, state, transaction, {
      outcome: 'refused',
      reason: error.code,
      text,
      isTemporary: error.temporary,
      downMs: null,
      revertedMs: null,
    });
    return { kind: 'refused' };
  }
}

/** Metadata verified, manifest trusted, compatibility and all sizes known, space there; nothing was changed yet. */
export function resolveTransaction(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const release = await trustedRelease(appliance, state, transaction);
    memory.release = release;
    const { files, layout, log } = appliance;
    const { tx, component } = transaction;
    probeWritable({ files, layout, slot: layout.slot(component, slotToWrite(appliance, state, transaction)) });
    keepManifest(appliance, tx, release.manifestBytes);
    const { reserved, trial, securityVersion } = sizesOf(appliance, state, transaction, release);
    reserveSpace({ files, layout, tx, log }, reserved);
    const { shortened: _shortened, ...length } = trial;
    return { kind: 'resolved', securityVersion, trial: length };
  });
}

/** With the trusted time that the server's last answer brought. @throws ReleaseError */
export async function trustedRelease(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
): Promise<ResolvedRelease> {
  const { issuedAtS } = loadRemembered(appliance.files, appliance.layout);
  raiseTrustedTime(appliance, loadTrust(appliance), issuedAtS);
  return resolved(appliance, state, transaction);
}

/** What a transaction will write, row by row, and how long its trial is. @throws ReleaseError `no-space` */
export function sizesOf(
  appliance: Appliance,
  state: StateBody,
  transaction: Transaction,
  { manifest }: Pick<ResolvedRelease, 'manifest'>,
) {
  const { files, layout, settings } = appliance;
  const { tx, source, component } = transaction;
  const slot = layout.slot(component, slotToWrite(appliance, state, transaction));
  // What a file brings is read where it lies.
  const place = { files, layout, tx, slot, copiesFrames: source.kind === 'server' };
  const agentState = stateBytes(files, layout, stateBytesMaxDefault);
  const needs = requireSpace(place, manifest, reserveBytes + agentState);
  return {
    reserved: { fetching: needs.frames, writing: needs.slot, snapped: agentState },
    trial: trialLength(manifest.trial, settings),
    securityVersion: manifest.securityVersion,
  };
}

/** The slot that this transaction writes: of the operating system, the one that does not run. */
export function slotToWrite({ settings }: Appliance, state: StateBody, { component }: Transaction): SlotName {
  if (component !== 'os') return incomingSlot(state, component);
  if (settings.os === null) throw new ReleaseError('incompatible', 'this appliance has no os slots to write');
  return settings.os.running === '0' ? '1' : '0';
}

export function fetchRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const startedMs = appliance.clock.monoMs();
    const release = memory.release ?? (await resolved(appliance, state, transaction));
    memory.release = null;
    const { files, layout, settings } = appliance;
    const slot = slotToWrite(appliance, state, transaction);
    const osSlot = transaction.component === 'os' ? slot : null;
    const directory = layout.slot(transaction.component, slot);
    const place = { files, layout, tx: transaction.tx, slot: directory, devices: deviceSlotsOf(layout, settings.os) };
    // Without it nothing could be written, and the transaction would come back here for ever.
    if (keptManifest(files, layout, transaction.tx, transaction.manifest) === null) {
      keepManifest(appliance, transaction.tx, release.manifestBytes);
    }
    try {
      giveUpSpace(place, 'fetching');
      if (transaction.source.kind === 'file') return { kind: 'fetched', fetchedMs: 1, slot: osSlot };
      const { fetchedBytes } = await fetchChunks(place, release.manifest, release.bundle);
      const fetchedMs = Math.max(1, Math.round(appliance.clock.monoMs() - startedMs));
      appliance.log(`${transaction.version}: ${fetchedBytes} bytes fetched in ${fetchedMs} ms`);
      return { kind: 'fetched', fetchedMs, slot: osSlot };
    } finally {
      release.bundle.source.close();
    }
  });
}

export function writeRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const { files, layout, settings } = appliance;
    const { tx, slot } = transaction;
    const kept = keptManifest(files, layout, tx, transaction.manifest);
    if (kept === null || slot === null) {
      throw new ReleaseError('chunk-missing', 'the manifest of the transaction is not here any more');
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
 * The bundle that somebody brought, once more: it must still be the one that was verified. Of its chunks each is
 * verified when it is used, so whoever changes the file meanwhile only makes this fail.
 */
async function openBrought(appliance: Appliance, transaction: Transaction): Promise<Bundle | null> {
  if (transaction.source.kind !== 'file') return null;
  const path = broughtPath(appliance, transaction);
  const source = fileSource(appliance.files, path);
  try {
    const bundle = await openBundle(source);
    if (sha256(bundle.manifestBytes) === transaction.manifest) return bundle;
    throw new ReleaseError('no-file', `${path} is not the bundle any more that was verified`);
  } catch (error) {
    source.close();
    throw error;
  }
}
