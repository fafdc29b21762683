import { type Evidence, evidenceSummary } from '../../protocol/evidence.ts';
import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { currentNonce } from '../current-start.ts';
import type { MachineEvent } from '../machine-event.ts';
import { reasonTexts } from '../sentences.ts';
import { transactionOf } from '../transitions.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { agentFacts, forgetCrashes } from './crashes.ts';
import { keepEvidence } from './evidence.ts';
import { pruneTrials, trialsKeptDays, trialsKeptMax } from './kept-trials.ts';
import { recordOutcome } from './outcome.ts';
import { giveUpUsed } from './put-back.ts';
import { noteRefused } from './refused.ts';
import { type Restored, RestoreError, restoreTwice } from './restore.ts';
import { quarantineDirectory } from './snapshot.ts';

/** How long the version before may take to serve again before the report goes out without that figure. */
const servesWithinMs = 15_000;
const lookEveryMs = 100;

/**
 * Stop; keep the evidence; the trial's state to quarantine and the snapshot back, verified. May be repeated; never goes
 * forward to the version that failed.
 */
export async function revert(appliance: Appliance, state: StateBody): Promise<MachineEvent> {
  const evidence = await keepEvidence(appliance, state);
  await appliance.processes.stopAgent();
  const { files, layout, settings, log } = appliance;
  const { tx, data } = transactionOf(state);
  const found = restoreTwice(files, layout, tx, settings.agentUser, log);
  const restored = found instanceof RestoreError ? [] : found;
  tidyAgentPlaces(appliance);
  if (data !== undefined && !(found instanceof RestoreError)) giveUpUsed(appliance, data.tx);
  pruneTrials(files, layout);
  report(appliance, state, restored, evidence);
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  if (!(found instanceof RestoreError)) return { kind: 'reverted' };
  const text = `${found.message} (${found.code})`;
  return {
    kind: 'damaged',
    safe: { reason: 'state-lost', tx, text: text.slice(0, safeTextMax) },
  };
}

function report(appliance: Appliance, state: StateBody, restored: readonly Restored[], evidence: Evidence): void {
  const transaction = transactionOf(state);
  const { failure } = transaction;
  if (failure === null) throw new RangeError('reverting without a verdict');
  const reason = reasonTexts[failure.reason];
  const seen = evidenceSummary(evidence);
  const said = `${transaction.version} was rolled back, because ${reason} (${failure.reason}): ${failure.text}.`;
  const text = seen === '' ? said : `${said} ${seen}`;
  const place = quarantineDirectory(appliance.layout, transaction.tx);
  const here =
    appliance.files.list(place).length > 0
      ? `Its data is kept in ${place}, for ${trialsKeptDays} days of running and until ${trialsKeptMax} later trials failed.`
      : 'Of its data nothing was kept.';
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
    evidence,
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
