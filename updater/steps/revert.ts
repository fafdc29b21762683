import { join } from 'node:path';
import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { MachineEvent } from '../machine-event.ts';
import { reasonTexts } from '../sentences.ts';
import { transactionOf } from '../transitions.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { agentFacts, forgetCrashes } from './crashes.ts';
import { currentNonce } from './judge.ts';
import { pruneTrials, trialsKeptDays, trialsKeptMax } from './kept-trials.ts';
import { recordOutcome } from './outcome.ts';
import { noteRefused } from './refused.ts';
import { type Restored, RestoreError, restoreSnapshot } from './restore.ts';
import { quarantineDirectory } from './snapshot.ts';

/** Evidence of the newest failed trials that is kept. */
const evidenceMax = 5;
/** How long the version before may take to serve again before the report goes out without that figure. */
const servesWithinMs = 15_000;
const lookEveryMs = 100;

/**
 * Reports need space, going back does not (I11): a disk that the trial filled must not keep the version before away.
 * What is not written is lost to the report, and only that.
 */
async function keepEvidence(appliance: Appliance, state: StateBody): Promise<void> {
  const { files, layout, clock } = appliance;
  const transaction = transactionOf(state);
  const directory = join(layout.evidence, String(transaction.tx));
  if (files.stat(join(directory, 'verdict.json')) !== null) return; // the first look is the one at the trial's processes
  const agent = await agentFacts(appliance);
  const { answer } = await readHealth(layout.agentSocket);
  const evidence = { transaction, agent, answer, boot: clock.bootId(), wallS: clock.wallS() };
  const hasRoom = whereThereIsRoom(() => {
    files.makeDirectory(layout.evidence, 0o700);
    files.makeDirectory(directory, 0o700);
    files.syncDirectory(layout.evidence);
    replaceJson(files, join(directory, 'verdict.json'), evidence, 0o600);
  });
  if (!hasRoom) appliance.log('there is no space for the evidence');
  const old = files
    .list(layout.evidence)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  for (const name of old.slice(0, -evidenceMax)) files.removeTree(join(layout.evidence, name));
}

/** What lies in the way is taken away by the first try; what is damaged is so in the second one too. */
const restoreTries = 2;

/** @returns what is back, or why the state of before can not come back */
function restore(appliance: Appliance, state: StateBody): readonly Restored[] | RestoreError {
  const { files, layout, settings } = appliance;
  const { tx } = transactionOf(state);
  for (let tries = 1; ; tries += 1) {
    try {
      return restoreSnapshot(files, layout, tx, settings.agentUser);
    } catch (error) {
      if (!(error instanceof RestoreError)) throw error;
      if (tries === restoreTries) return error;
      appliance.log(`${error.message} (${error.code}); once more`);
    }
  }
}

/**
 * Stop; keep the evidence; the trial's state to quarantine and the snapshot back, verified. May be repeated; never goes
 * forward to the version that failed.
 */
export async function revert(appliance: Appliance, state: StateBody): Promise<MachineEvent> {
  await keepEvidence(appliance, state);
  await appliance.processes.stopAgent();
  const found = restore(appliance, state);
  const restored = found instanceof RestoreError ? [] : found;
  tidyAgentPlaces(appliance);
  pruneTrials(appliance.files, appliance.layout);
  report(appliance, state, restored);
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  if (!(found instanceof RestoreError)) return { kind: 'reverted' };
  const text = `${found.message} (${found.code})`;
  return {
    kind: 'damaged',
    safe: { reason: 'state-lost', tx: transactionOf(state).tx, text: text.slice(0, safeTextMax) },
  };
}

function report(appliance: Appliance, state: StateBody, restored: readonly Restored[]): void {
  const transaction = transactionOf(state);
  const { failure } = transaction;
  if (failure === null) throw new RangeError('reverting without a verdict');
  const reason = reasonTexts[failure.reason];
  const text = `${transaction.version} was rolled back, because ${reason} (${failure.reason}): ${failure.text}.`;
  const place = quarantineDirectory(appliance.layout, transaction.tx);
  const here = `Its data is kept in ${place}, for ${trialsKeptDays} days of running and until ${trialsKeptMax} later trials failed.`;
  appliance.log(text);
  // It is not quarantined, and it is not tried again at once either.
  if (failure.reason === 'inconclusive') noteRefused(appliance, transaction.manifest, text);
  recordOutcome(appliance, state, transaction, {
    outcome: 'rolled-back',
    reason: failure.reason,
    text,
    here,
    downMs: null,
    revertedMs: null,
    restored,
  });
}

/** After the record says idle: starts the version before, and reports how long that took. */
export async function serveAgain(appliance: Appliance, before: StateBody, memory: RunMemory): Promise<void> {
  const { clock, processes, events } = appliance;
  await processes.startAgent();
  if (!(await untilServes(appliance))) return;
  const now = clock.monoMs();
  const { tx, component, manifest, version } = transactionOf(before);
  const since = (ms: number | null) => (ms === null ? {} : { ms: Math.round(now - ms) });
  const [reverted, down] = [since(memory.verdictMs), since(memory.stoppedMs)];
  events.add(`recovered ${tx}`, {
    kind: 'agent-recovered',
    text: `${before.app.committed.version} serves again`,
    release: {
      tx,
      component,
      manifest,
      version: before.app.committed.version,
      from: version,
      ...('ms' in reverted ? { revertedMs: reverted.ms } : {}),
      ...('ms' in down ? { downMs: down.ms } : {}),
    },
  });
}

/** Waits until what launch started last answers for itself. @returns false when it does not in time */
export async function untilServes({ clock, files, layout, log }: Appliance): Promise<boolean> {
  for (const startedMs = clock.monoMs(); clock.monoMs() - startedMs < servesWithinMs; await clock.delay(lookEveryMs)) {
    const { answer } = await readHealth(layout.agentSocket);
    if (answer !== null && answer.nonce === currentNonce(files, layout)) return true;
  }
  log(`the agent did not answer within ${servesWithinMs / 1000} s of its start`);
  return false;
}
