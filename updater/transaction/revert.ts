import { type Evidence, evidenceSummary } from '../../protocol/evidence.ts';
import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import { type Restored, RestoreError, restoreTwice } from '../agent-data/restore.ts';
import { quarantineDirectory } from '../agent-data/snapshot.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { currentNonce } from '../appliance/current-start.ts';
import { noteRefused } from '../choice/refused.ts';
import { transactionOf } from '../machine/transaction.ts';
import { keepEvidence } from '../outcome/evidence.ts';
import { pruneTrials, trialsKeptDays } from '../outcome/kept-trials.ts';
import type { Found, Outcome, Recovered } from '../outcome/outcome.ts';
import { readAgentHealth } from '../watch/agent-health.ts';
import { agentFacts, forgetCrashes } from '../watch/crashes.ts';
import { reasonTexts, transactionTexts } from '../words/texts.ts';
import { tidyAgentPlaces } from './agent-places.ts';
import { giveUpUsed } from './put-back.ts';

/** How long the previous version may take to serve again before the report goes out without that figure. */
const servesWithinMs = 15_000;
const lookEveryMs = 100;

/**
 * Stops the agent; keeps the evidence; moves the trial's state to quarantine and puts the snapshot back, verified. May
 * be repeated; never goes forward to the version that failed.
 */
export async function revert(appliance: Appliance, state: StateBody): Promise<Found> {
  const evidence = await keepEvidence(appliance, state);
  await appliance.processes.stopAgent();
  const { files, layout, settings, log } = appliance;
  const { tx, data } = transactionOf(state);
  const found = restoreTwice(files, layout, tx, settings.agentUser, log);
  const restored = found instanceof RestoreError ? [] : found;
  tidyAgentPlaces(appliance);
  if (data !== undefined && !(found instanceof RestoreError)) giveUpUsed(appliance, data.tx);
  pruneTrials(files, layout);
  const end = endOf(appliance, state, restored, evidence);
  const agent = await agentFacts(appliance);
  if (agent !== null) forgetCrashes(appliance, agent);
  if (!(found instanceof RestoreError)) return { kind: 'reverted', end };
  const text = `${found.message} (${found.code})`;
  return {
    kind: 'damaged',
    safe: { reason: 'state-lost', tx, text: cut(text, safeTextMax) },
    end,
  };
}

function endOf(appliance: Appliance, state: StateBody, restored: readonly Restored[], evidence: Evidence): Outcome {
  const transaction = transactionOf(state);
  const { failure } = transaction;
  if (failure === null) throw new RangeError('reverting without a verdict');
  const reason = reasonTexts[failure.reason];
  const seen = evidenceSummary(evidence);
  const said = transactionTexts.rolledBack(transaction.version, reason, failure.reason, failure.text);
  const text = seen === '' ? said : `${said} ${seen}`;
  const place = quarantineDirectory(appliance.layout, transaction.tx);
  const here =
    appliance.files.list(place).length > 0
      ? transactionTexts.trialDataKept(place, trialsKeptDays)
      : transactionTexts.noDataKept;
  appliance.log(text);
  // It is not quarantined, but it is not tried again at once either.
  if (failure.reason === 'inconclusive') noteRefused(appliance, transaction.manifest, text);
  return {
    outcome: 'rolled-back',
    reason: failure.reason,
    text,
    here,
    downMs: null,
    revertedMs: null,
    restored,
    evidence,
  };
}

/** After the record says idle: starts the previous version. @returns null: it did not serve in time */
export async function serveAgain(appliance: Appliance, memory: RunMemory): Promise<Recovered | null> {
  const { clock, processes } = appliance;
  await processes.startAgent();
  if (!(await untilServes(appliance))) return null;
  const now = clock.monoMs();
  return {
    ...(memory.verdictMs === null ? {} : { revertedMs: Math.round(now - memory.verdictMs) }),
    ...(memory.stoppedMs === null ? {} : { downMs: Math.round(now - memory.stoppedMs) }),
  };
}

/** Waits until the last start that launch made answers. @returns false when it does not answer in time */
export async function untilServes(appliance: Appliance): Promise<boolean> {
  const { clock, files, layout, log } = appliance;
  for (const startedMs = clock.monoMs(); clock.monoMs() - startedMs < servesWithinMs; await clock.delay(lookEveryMs)) {
    const { answer } = await readAgentHealth(appliance);
    if (answer !== null && answer.nonce === currentNonce(files, layout)) return true;
  }
  log(transactionTexts.didNotAnswer(servesWithinMs / 1000));
  return false;
}
