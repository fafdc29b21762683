import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { startShape } from '../../protocol/health.ts';
import type { Layout } from '../../protocol/layout.ts';
import { launchBodyShape, type StateBody, type Transaction } from '../../protocol/state-record.ts';
import { readCounting } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { readJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { bootsMax, countStarts } from '../launch-table.ts';
import type { MachineEvent } from '../machine-event.ts';
import { knownRecord } from '../record-store.ts';
import { transactionOf } from '../transitions.ts';
import { beginTrial, judge, type Sample, type TrialRules } from '../verdict.ts';
import { reportToServer } from './report.ts';

/** Healthy time is put on disk about this often, so that a killed judge loses no more of it. */
const persistEveryMs = 2_000;
const startBytesMax = 16 * 1024;
/** Nobody looked for longer, because the judge or the whole machine stood still: more than this of it does not count. */
const gapMost = { samples: 5, ms: 2_000 } as const;

/** The nonce of the newest start, from what launch left. */
export function currentNonce(files: Files, layout: Layout): string | null {
  const path = `${layout.launchedComponent('app')}/start.json`;
  const parsed = startShape.safeParse(readJson(files, path, startBytesMax));
  return parsed.success ? parsed.data.nonce : null;
}

function triesOf(appliance: Appliance, tx: number): Pick<Sample, 'tries' | 'outOfBoots'> & { isCounted: boolean } {
  const record = knownRecord(appliance.files, appliance.layout.launchRecords);
  const parsed = z.object({ app: launchBodyShape.shape.app }).safeParse(record?.body);
  const starts = parsed.success && parsed.data.app?.tx === tx ? parsed.data.app.starts : [];
  const { tries, boots } = countStarts(starts, appliance.clock.bootId());
  return { tries, outOfBoots: boots >= bootsMax, isCounted: starts.length > 0 };
}

function rulesOf(appliance: Appliance, transaction: Transaction): TrialRules {
  const { stallMs, answerMs, graceMs } = appliance.settings;
  const { version, trial, baseline, baselineServer } = transaction;
  return { ...trial, version, stallMs, answerMs, graceMs, baseline, baselineServer };
}

async function takeSample(appliance: Appliance, memory: RunMemory, tx: number): Promise<Sample> {
  const { clock, files, layout, processes, settings } = appliance;
  // First who is meant, then who answers: a start in between shows as another nonce, never as the right one.
  const nonce = currentNonce(files, layout);
  // And first the tries, then the process: a try that launch counts in between is not over when the process is not there.
  const { isCounted, ...counted } = triesOf(appliance, tx);
  const facts = await processes.agent();
  const counting = facts.state === 'active' ? await readCounting(layout.agentSocket) : null;
  const answer = counting?.reading.answer ?? null;
  const now = clock.monoMs();
  const gapMs = Math.max(gapMost.ms, gapMost.samples * settings.sampleMs);
  const sinceMs = Math.min(gapMs, Math.max(0, now - memory.trialLookedMs));
  memory.trialLookedMs = now;
  if (answer !== null && answer.nonce === nonce) memory.servingMs ??= now;
  const seen = nonce === null ? undefined : memory.seen[sha256(nonce)];
  return {
    ...counted,
    // launch counts before it starts anything.
    countLost: facts.state === 'active' && !isCounted,
    sinceMs,
    alive: facts.state === 'active',
    starting: facts.state === 'starting',
    nonce,
    answer,
    movedByAsking: counting?.movedByAsking ?? 0,
    serverReached: memory.serverReached,
    seen: seen?.checkIns ?? 0,
  };
}

function downMs(memory: RunMemory, fallbackMs: number): number {
  if (memory.stoppedMs === null || memory.servingMs === null) return fallbackMs;
  return Math.max(0, Math.round(memory.servingMs - memory.stoppedMs));
}

/** Looks again and again until there is a verdict, or healthy time that is worth putting on disk. */
export async function judgeTrial(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const rules = rulesOf(appliance, transaction);
  if (memory.trial === null) {
    memory.trial = beginTrial(transaction.healthyMs, transaction.usedMs);
    memory.trialLookedMs = appliance.clock.monoMs();
  }
  for (;;) {
    await appliance.clock.delay(appliance.settings.sampleMs);
    await reportToServer(appliance, state, memory, { fresh: true });
    const sample = await takeSample(appliance, memory, transaction.tx);
    const verdict = judge(rules, memory.trial, sample);
    memory.trial = verdict.trial;
    switch (verdict.verdict) {
      case 'passed':
        return { kind: 'passed', downMs: downMs(memory, 0) };
      case 'failed':
        memory.verdictMs = appliance.clock.monoMs();
        return { kind: 'failed', reason: verdict.reason, text: verdict.text };
      case 'undecided': {
        const { healthyMs, usedMs } = verdict.trial;
        // The deadline bounds this loop: every pass adds to the time used.
        if (usedMs - transaction.usedMs >= persistEveryMs) {
          return { kind: 'time-passed', healthyMs: Math.round(healthyMs), usedMs: Math.round(usedMs) };
        }
        if (!sample.alive) await restartWhereTriesAreLeft(appliance, sample, rules);
        break;
      }
      default:
        verdict satisfies never;
    }
  }
}

/** Process control may have given up before the tries are spent; then the judge gives the next try. */
async function restartWhereTriesAreLeft(appliance: Appliance, sample: Sample, rules: TrialRules): Promise<void> {
  if (sample.tries >= rules.tries) return;
  const { state } = await appliance.processes.agent();
  if (state === 'failed' || state === 'inactive') await appliance.processes.startAgent();
}
