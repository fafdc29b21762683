import { sha256 } from '../../protocol/digest.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { currentNonce } from '../appliance/current-start.ts';
import { triesOf } from '../appliance/tries.ts';
import type { EventOf, MachineEvent } from '../machine/event.ts';
import { transactionOf } from '../machine/transaction.ts';
import { pathSeen } from '../server/publish-path.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { beginTrial, type KeptTrial, type Sample, type Trial, type TrialRules } from '../verdict/trial.ts';
import { judge, waitsOf } from '../verdict/verdict.ts';
import { readCounting } from '../watch/agent-health.ts';
import type { AskServer } from './ask-server.ts';

/** Healthy time is put on disk about this often, so that a killed judge loses no more than this. */
const persistEveryMs = 2_000;
/** A look waits this long for the server, and then continues without it. */
const reportWaitMs = 2_000;
/**
 * When nothing was sampled for longer, because the judge or the whole machine stood still, no more than this counts.
 */
const gapMost = { samples: 5, ms: 2_000 } as const;

function rulesOf(appliance: Appliance, transaction: Transaction): TrialRules {
  const { stallMs, answerMs, graceMs } = appliance.settings;
  const { version, trial, baseline, baselineServer } = transaction;
  const { migrationMs = null } = trial;
  return { ...trial, migrationMs, version, stallMs, answerMs, graceMs, baseline, baselineServer };
}

/** What an earlier run, or this one, has put on disk about the trial. */
function keptOf({ healthyMs, usedMs, migratingMs, start }: Transaction): KeptTrial {
  return { healthyMs, usedMs, migratingMs: migratingMs ?? 0, start: start ?? null };
}

/** What is put on disk now. */
function timesOf(trial: Trial, transaction: Transaction): Omit<EventOf<'time-passed'>, 'kind'> {
  const { healthyMs, usedMs, migratingMs, start } = trial;
  return {
    ...comparedOf(trial, transaction),
    healthyMs: Math.round(healthyMs),
    usedMs: Math.round(usedMs),
    ...(migratingMs === 0 ? {} : { migratingMs: Math.round(migratingMs) }),
    ...(start === null ? {} : { start }),
  };
}

/** Given only when the server is not compared, or was not before. */
function comparedOf({ serverCompared }: Trial, transaction: Transaction): Pick<EventOf<'passed'>, 'serverCompared'> {
  return serverCompared && transaction.serverCompared === undefined ? {} : { serverCompared };
}

/** What the updater knows about the server, and how old that is. */
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
  // First the expected nonce, then the answer: a start in between shows as another nonce, never as the right one.
  const nonce = currentNonce(files, layout);
  // Likewise first the tries, then the process: a try that launch counts in between does not count as ended because its
  // process was missing.
  const { isCounted, ...counted } = triesOf(appliance, 'app', tx);
  const facts = await processes.agent();
  const counting = facts.state === 'active' ? await readCounting(appliance) : null;
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
    // A start that reported another version to the server is not the one on trial.
    seen: seen?.version === version ? seen.checkIns : 0,
    path: pathSeen(appliance, appliance.identity.url),
  };
}

function downMs(memory: RunMemory, fallbackMs: number): number {
  if (memory.stoppedMs === null || memory.servingMs === null) return fallbackMs;
  return Math.max(0, Math.round(memory.servingMs - memory.stoppedMs));
}

/**
 * While the server keeps it waiting, the question continues beside the looks: a version that died must still be noticed
 * within seconds.
 */
async function askBeside(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<void> {
  memory.reporting ??= startAsking(appliance, state, memory, askServer);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, reportWaitMs);
  });
  await Promise.race([memory.reporting.done, patience]);
  clearTimeout(timer);
}

function startAsking(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): NonNullable<RunMemory['reporting']> {
  const stop = new AbortController();
  const done = askServer(appliance, state, { fresh: true, signal: stop.signal }).finally(() => {
    memory.reporting = null;
  });
  return { done, giveUp: () => stop.abort() };
}

/** What follows a verdict writes the same files as a report. */
async function endReport({ reporting }: RunMemory): Promise<void> {
  reporting?.giveUp();
  await reporting?.done;
}

/** Looks again and again until there is a verdict, or enough healthy time to put on disk. */
export async function judgeTrial(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<MachineEvent> {
  const transaction = transactionOf(state);
  const rules = rulesOf(appliance, transaction);
  if (memory.trial === null) {
    memory.trial = beginTrial(keptOf(transaction));
    memory.trialLookedMs = appliance.clock.monoMs();
  }
  for (;;) {
    await appliance.clock.delay(appliance.settings.sampleMs);
    await askBeside(appliance, state, memory, askServer);
    const sample = await takeSample(appliance, memory, transaction);
    const verdict = judge(rules, memory.trial, sample);
    memory.trial = verdict.trial;
    memory.trialWaits = waitsOf(rules, verdict, sample);
    switch (verdict.verdict) {
      case 'passed':
        await endReport(memory);
        return { kind: 'passed', downMs: downMs(memory, 0), ...comparedOf(verdict.trial, transaction) };
      case 'failed':
        memory.verdictMs = appliance.clock.monoMs();
        await endReport(memory);
        return { kind: 'failed', reason: verdict.reason, text: verdict.text };
      case 'undecided': {
        if (verdict.asksServer) memory.forced = true;
        // The deadline bounds this loop: every pass adds to the time used.
        if (verdict.trial.usedMs - transaction.usedMs >= persistEveryMs) {
          return { kind: 'time-passed', ...timesOf(verdict.trial, transaction) };
        }
        if (!sample.alive) await restartWhereTriesAreLeft(appliance, sample, rules);
        break;
      }
      default:
        verdict satisfies never;
    }
  }
}

/** Process control may have given up before the tries are spent; then the judge makes the next try. */
async function restartWhereTriesAreLeft(appliance: Appliance, sample: Sample, rules: TrialRules): Promise<void> {
  if (sample.tries >= rules.tries) return;
  const { state } = await appliance.processes.agent();
  if (state === 'failed' || state === 'inactive') await appliance.processes.startAgent();
}
