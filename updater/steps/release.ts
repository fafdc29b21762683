import { join } from 'node:path';
import { snapshotFiles } from '../../protocol/layout.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { probeWritable, requireSpace } from '../release/check-space.ts';
import { fetchChunks } from '../release/fetch-chunks.ts';
import { ReleaseError } from '../release/release-error.ts';
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
import { keepAgentUp } from './keep-agent.ts';
import { recordOutcome } from './outcome.ts';
import { noteRefused, noteTrouble } from './refused.ts';
import { reportToServer } from './report.ts';

/** The rows in which a release becomes a written slot. */

/** Kept free for records, evidence and history beside what a transaction needs. */
const reserveBytes = 64 * 1024 * 1024;

/** What the network did to us says nothing about the release: the next run carries on where this one stopped. */
const networkCodes = new Set<string>(['unreachable', 'stalled', 'timed-out', 'truncated', 'http-status']);

function resolved(appliance: Appliance, state: StateBody, transaction: Transaction): Promise<ResolvedRelease> {
  const { source, component, version, manifest, kind } = transaction;
  const acceptance = acceptanceOf(appliance, state, kind === 'install');
  if (source.kind === 'file') return resolveFromFile(appliance, join(appliance.layout.work, source.path), acceptance);
  const base = appliance.identity.url.replace(/\/$/, '') + source.path;
  return resolveFromServer(appliance, base, { component, version, manifest }, acceptance);
}

/** A person, or a newer decision of the server, goes before an update that has not been written yet (S60). */
function isSuperseded(appliance: Appliance, transaction: Transaction): boolean {
  if (appliance.files.list(appliance.layout.requests).length > 0) return transaction.kind === 'update';
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
      await keepAgentUp(appliance, state);
      return { kind: 'interrupted' };
    }
    // A bad copy that somebody brought says nothing about the server's.
    if (isUpdate) noteRefused(appliance, transaction.manifest, text);
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

/** What the snapshot of the agent's state will need. */
function stateBytes({ files, layout }: Appliance): number {
  return snapshotFiles.reduce((sum, name) => sum + (files.stat(join(layout.agent, name))?.size ?? 0), 0);
}

/** Metadata verified, manifest trusted, compatibility and all sizes known, space there; nothing was changed yet. */
export function resolveTransaction(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const { issuedAtS } = loadRemembered(appliance.files, appliance.layout);
    raiseTrustedTime(appliance, loadTrust(appliance), issuedAtS);
    const release = await resolved(appliance, state, transaction);
    memory.release = release;
    const slot = incomingSlot(state, slotComponent(transaction));
    const { files, layout, settings } = appliance;
    probeWritable({ files, layout, slot: layout.slot(transaction.component, slot) });
    keepManifest(appliance, transaction.tx, release.manifestBytes);
    requireSpace(
      { files, layout, tx: transaction.tx, slot: layout.slot(transaction.component, slot) },
      release.manifest,
      reserveBytes + stateBytes(appliance),
    );
    const { shortened: _shortened, ...trial } = trialLength(release.manifest.trial, settings);
    return { kind: 'resolved', securityVersion: release.manifest.securityVersion, trial };
  });
}

function slotComponent(transaction: Transaction): 'app' | 'updater' {
  if (transaction.component === 'os') throw new ReleaseError('incompatible', 'this updater can not write os slots');
  return transaction.component;
}

export function fetchRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const startedMs = appliance.clock.monoMs();
    const release = memory.release ?? (await resolved(appliance, state, transaction));
    memory.release = null;
    const { files, layout } = appliance;
    const slot = layout.slot(transaction.component, incomingSlot(state, slotComponent(transaction)));
    try {
      const { fetchedBytes } = await fetchChunks(
        { files, layout, tx: transaction.tx, slot },
        release.manifest,
        release.bundle,
      );
      const fetchedMs = Math.max(1, Math.round(appliance.clock.monoMs() - startedMs));
      appliance.log(`${transaction.version}: ${fetchedBytes} bytes fetched in ${fetchedMs} ms`);
      return { kind: 'fetched', fetchedMs };
    } finally {
      release.bundle.source.close();
    }
  });
}

export function writeRelease(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  return guarded(appliance, state, memory, async (transaction) => {
    const { files, layout } = appliance;
    const { tx, slot } = transaction;
    const kept = keptManifest(files, layout, tx, transaction.manifest);
    if (kept === null || slot === null) {
      throw new ReleaseError('chunk-missing', 'the manifest of the transaction is not here any more');
    }
    writeSlot({ files, layout, tx, slot, ...kept });
    return { kind: 'written' };
  });
}
