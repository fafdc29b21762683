import { sha256 } from '../../protocol/digest.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { readCounting } from '../agent-health.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import { currentNonce } from '../current-start.ts';
import type { EventOf, MachineEvent } from '../machine-event.ts';
import { transactionOf } from '../transitions.ts';
import { beginTrial, type KeptTrial, type Sample, type Trial, type TrialRules } from '../trial.ts';
import { triesOf } from '../tries.ts';
import { judge } from '../verdict.ts';
import { reportToServer } from './report.ts';

/** Healthy time is put on disk about this often, so that a killed judge loses no more of it. */
const persistEveryMs = 2_000;
/** A look waits for the server for so long, and then goes on without. */
const reportWaitMs = 2_000;
/** Nobody looked for longer, because the judge or the whole machine stood still: more than this of it does not count. */
const gapMost = { samples: 5, ms: 2_000 } as const;

function rulesOf(appliance: Appliance, transaction: Transaction): TrialRules {
  const { stallMs, answerMs, graceMs } = appliance.settings;
  const { version, trial, baseline, baselineServer } = transaction;
  const { migrationMs = null } = trial;
  return { ...trial, migrationMs, version, stallMs, answerMs, graceMs, baseline, baselineServer };
}

/** What of the trial an earlier run, or this one, has put on disk. */
function keptOf({ healthyMs, usedMs, migratingMs, start }: Transaction): KeptTrial {
  return { healthyMs, usedMs, migratingMs: migratingMs ?? 0, start: start ?? null };
}

/** What of it is put on disk now. */
function timesOf({ healthyMs, usedMs, migratingMs, start }: Trial): Omit<EventOf<'time-passed'>, 'kind'> {
  return {
    healthyMs: Math.round(healthyMs),
    usedMs: Math.round(usedMs),
    ...(migratingMs === 0 ? {} : { migratingMs: Math.round(migratingMs) }),
    ...(start === null ? {} : { start }),
  };
}

/** What the updater knows of the server, and how old that is. */
function serverSeen({ files, layout, clock }: Appliance, memory: RunMemory) {
  const { boot, triedMs } = loadRemembered(files, layout);
  const isOfThisBoot = boot === clock.bootId();
  return {
    serverReached: isOfThisBoot ? memory.serverReached : null,
    serverTriedMs: isOfThisBoot ? Math.max(0, clock.monoMs() - triedMs) : 0,
  };
}

async function takeSample(
  appliance: Appliance,
  memory: RunMemory,
  { tx, version }: Pick<Transaction, 'tx' | 'version'>,
): Promise<Sample> {
  const { clock, files, layout, processes, settings } = appliance;
  // First who is meant, then who answers: a start in between shows as another nonce, never as the right one.
  const nonce = currentNonce(files, layout);
  // And first the tries, then the process: a try that launch counts in between is not over when the process is not there.
  const { isCounted, ...counted } = triesOf(appliance, 'app', tx);
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
    ...serverSeen(appliance, memory),
    // A start that called itself another version at the server is not the one that is on trial.
    seen: seen?.version === version ? seen.checkIns : 0,
  };
}

function downMs(memory: RunMemory, fallbackMs: number): number {
  if (memory.stoppedMs === null || memory.servingMs === null) return fallbackMs;
  return Math.max(0, Math.round(memory.servingMs - memory.stoppedMs));
}

/**
 * The report goes on beside the looks where the server keeps it waiting: a version that died must be noticed in seconds
 * all the same.
 */
async function reportBeside(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<void> {
  memory.reporting ??= startReport(appliance, state, memory);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, reportWaitMs);
  });
  await Promise.race([memory.reporting.done, patience]);
  clearTimeout(timer);
}

function startReport(appliance: Appliance, state: StateBody, memory: RunMemory): NonNullable<RunMemory['reporting']> {
  const stop = new AbortController();
  const done = reportToServer(appliance, state, memory, { fresh: true, signal: stop.signal }).finally(() => {
    memory.reporting = null;
  });
  return { done, giveUp: () => stop.abort() };
}

/** What follows a verdict writes what a report writes, too. */
async function endReport({ reporting }: RunMemory): Promise<void> {
  reporting?.giveUp();
  await reporting?.done;
}

/** Looks again and again until there is a verdict, or healthy time that is worth putting on disk. */
export async function judgeTrial(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const rules = rulesOf(appliance, transaction);
  if (memory.trial === null) {
    memory.trial = beginTrial(keptOf(transaction));
    memory.trialLookedMs = appliance.clock.monoMs();
  }
  for (;;) {
    await appliance.clock.delay(appliance.settings.sampleMs);
    await reportBeside(appliance, state, memory);
    const sample = await takeSample(appliance, memory, transaction);
    const verdict = judge(rules, memory.trial, sample);
    memory.trial = verdict.trial;
    switch (verdict.verdict) {
      case 'passed':
        await endReport(memory);
        return { kind: 'passed', downMs: downMs(memory, 0) };
      case 'failed':
        memory.verdictMs = appliance.clock.monoMs();
        await endReport(memory);
        return { kind: 'failed', reason: verdict.reason, text: verdict.text };
      case 'undecided': {
        if (verdict.asksServer) memory.forced = true;
        // The deadline bounds this loop: every pass adds to the time used.
        if (verdict.trial.usedMs - transaction.usedMs >= persistEveryMs) {
          return { kind: 'time-passed', ...timesOf(verdict.trial) };
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
