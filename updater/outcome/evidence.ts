import { join, relative } from 'node:path';
import { type Evidence, evidenceLimits } from '../../protocol/evidence.ts';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readUpdaterEnds } from '../launch/end.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { AgentFacts } from '../processes/process-control.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { readAgentHealth } from '../watch/agent-health.ts';
import { agentFacts, trialCrashes } from '../watch/crashes.ts';
import { headAndTail } from '../words/text.ts';
import { outcomeTexts } from '../words/texts.ts';
import { evidenceName, keptEvidence } from './kept-evidence.ts';
import { timelineOf } from './timeline.ts';

/** What was seen of a version that failed its trial. */

/** Evidence is kept for this many of the newest failed trials. */
const keptMax = 5;

const word = (status: string | { readonly raw: string }): string =>
  (typeof status === 'string' ? status : status.raw).slice(0, 16);

/** The checks whose status at the end differs from before the switch. */
function differences({ baseline }: Transaction, answer: HealthAnswer | null): Evidence['checks'] {
  if (baseline === null || answer === null) return [];
  return Object.entries(baseline)
    .map(([check, before]) => ({ check, before: word(before), last: word(answer.checks[check] ?? 'unknown') }))
    .filter(({ before, last }) => before !== last)
    .slice(0, evidenceLimits.checksMax);
}

/** null: the version on trial has not ended; the end that process control knows is that of the previous version. */
function endOfTrial(appliance: Appliance, { tx }: Transaction, agent: AgentFacts): AgentFacts | null {
  const crashes = trialCrashes(appliance, tx, agent);
  // The trial was begun by an updater that noted nothing: a running agent has not ended.
  const hasEnded = crashes === null ? agent.state !== 'active' : crashes > 0;
  return hasEnded ? agent : null;
}

type Seen = Omit<Evidence, 'output' | 'whole'>;

/** Looks at the processes of the trial while they exist. */
async function look(appliance: Appliance, transaction: Transaction) {
  const { files, layout } = appliance;
  const agent = await agentFacts(appliance);
  const { answer } = await readAgentHealth(appliance);
  const { answered, error } = loadRemembered(files, layout);
  const end = agent === null ? null : endOfTrial(appliance, transaction, agent);
  const evidence: Seen = {
    exit: end?.lastExit ?? null,
    checks: differences(transaction, answer),
    server: {
      before: transaction.baselineServer,
      last: answer === null ? 'unknown' : word(answer.server),
      byUpdater: answered === null && error === null ? null : error === null,
    },
    timeline: timelineOf(appliance, transaction.tx),
  };
  return { agent, answer, evidence, output: end?.lastOutput ?? '' };
}

/**
 * Keeps what was seen in `evidence/<tx>/`. Reports need space, going back does not (I11): a disk that the trial filled
 * must not block the return to the previous version. After a restart, the report only lacks what could not be written.
 */
export async function keepEvidence(appliance: Appliance, state: StateBody): Promise<Evidence> {
  const { files, layout } = appliance;
  const transaction = transactionOf(state);
  // The first look sees the trial's processes; a repeated step finds them gone.
  const known = keptEvidence(files, layout, transaction.tx);
  if (known !== null) return known;
  const seen = await look(appliance, transaction);
  const { output, evidence, ...others } = seen;
  return writeEvidence(appliance, transaction, others, evidence, output);
}

/** The trial of an updater has no checks: its evidence is how it ended. */
export async function keepUpdaterEvidence(appliance: Appliance, state: StateBody): Promise<Evidence> {
  const { files, layout, processes } = appliance;
  const transaction = transactionOf(state);
  const known = keptEvidence(files, layout, transaction.tx);
  if (known !== null) return known;
  const { answered, error } = loadRemembered(files, layout);
  const ends = readUpdaterEnds(files, layout);
  // Ends of another slot belong to another updater.
  const isOfTrial = ends !== null && ends.slot === transaction.slot;
  const evidence: Seen = {
    exit: isOfTrial ? ends.exit : null,
    checks: [],
    server: {
      before: transaction.baselineServer,
      last: 'unknown',
      byUpdater: answered === null && error === null ? null : error === null,
    },
    timeline: timelineOf(appliance, transaction.tx),
  };
  const output = isOfTrial ? await processes.updaterOutput() : '';
  return writeEvidence(appliance, transaction, {}, evidence, output);
}

/** What is sent is short, and names the file that has all of it, if there was room for one. */
function writeEvidence(
  { files, layout, clock, log }: Appliance,
  transaction: Transaction,
  others: object,
  seen: Seen,
  output: string,
): Evidence {
  const directory = join(layout.evidence, String(transaction.tx));
  const path = join(directory, evidenceName);
  const whole = relative(layout.root, path);
  const evidence = { ...seen, output: headAndTail(output, evidenceLimits.outputMax, whole), whole };
  const hasRoom = whereThereIsRoom(() => {
    files.makeDirectory(layout.evidence, 0o700);
    files.makeDirectory(directory, 0o700);
    files.syncDirectory(layout.evidence);
    const kept = { transaction, ...others, output, evidence, boot: clock.bootId(), wallS: clock.wallS() };
    replaceJson(files, path, kept, 0o600);
  });
  prune(files, layout);
  if (hasRoom) return evidence;
  log(outcomeTexts.noSpaceForEvidence);
  return { ...seen, output: headAndTail(output, evidenceLimits.outputMax) };
}

/** Removes the oldest; files that are not our evidence are left alone. */
function prune(files: Files, layout: Layout): void {
  const old = files
    .list(layout.evidence)
    .filter((entry) => /^\d+$/.test(entry))
    .sort((a, b) => Number(a) - Number(b));
  for (const entry of old.slice(0, -keptMax)) files.removeTree(join(layout.evidence, entry));
}
