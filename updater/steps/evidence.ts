import { join } from 'node:path';
import { type Evidence, evidenceLimits } from '../../protocol/evidence.ts';
import type { HealthAnswer } from '../../protocol/health.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { readHealth } from '../agent-health.ts';
import type { Appliance } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import { replaceJson, whereThereIsRoom } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readUpdaterEnds } from '../launch-end.ts';
import { headAndTail } from '../text.ts';
import { timelineOf } from '../timeline.ts';
import { transactionOf } from '../transitions.ts';
import { agentFacts } from './crashes.ts';
import { evidenceName, keptEvidence } from './kept-evidence.ts';

/** What was seen of a version that failed its trial. */

/** Of the newest failed trials so much is kept. */
const keptMax = 5;

const word = (status: string | { readonly raw: string }): string =>
  (typeof status === 'string' ? status : status.raw).slice(0, 16);

/** Check by check, where the end is not what it was before the switch. */
function differences({ baseline }: Transaction, answer: HealthAnswer | null): Evidence['checks'] {
  if (baseline === null || answer === null) return [];
  return Object.entries(baseline)
    .map(([check, before]) => ({ check, before: word(before), last: word(answer.checks[check] ?? 'unknown') }))
    .filter(({ before, last }) => before !== last)
    .slice(0, evidenceLimits.checksMax);
}

/** Looks at the processes of the trial while they are there. */
async function look(appliance: Appliance, transaction: Transaction) {
  const { files, layout } = appliance;
  const agent = await agentFacts(appliance);
  const { answer } = await readHealth(layout.agentSocket);
  const { answered, error } = loadRemembered(files, layout);
  const evidence: Evidence = {
    // What lives has not ended: the exit that is known is that of the version before, which was told to end.
    exit: agent?.state === 'active' ? null : (agent?.lastExit ?? null),
    output: headAndTail(agent?.lastOutput ?? '', evidenceLimits.outputMax),
    checks: differences(transaction, answer),
    server: {
      before: transaction.baselineServer,
      last: answer === null ? 'unknown' : word(answer.server),
      byUpdater: answered === null && error === null ? null : error === null,
    },
    timeline: timelineOf(appliance, transaction.tx),
  };
  return { agent, answer, evidence };
}

/**
 * Keeps what was seen in `evidence/<tx>/`. Reports need space, going back does not (I11): a disk that the trial filled must not
 * keep the version before away. What is not written is lost to the report after a restart, and only that.
 */
export async function keepEvidence(appliance: Appliance, state: StateBody): Promise<Evidence> {
  const { files, layout } = appliance;
  const transaction = transactionOf(state);
  // The first look is the one at the trial's processes; a repeated step finds them gone.
  const known = keptEvidence(files, layout, transaction.tx);
  if (known !== null) return known;
  const seen = await look(appliance, transaction);
  writeEvidence(appliance, transaction, seen);
  return seen.evidence;
}

/** The trial of an updater has no checks: what is seen of it are its ends. */
export async function keepUpdaterEvidence(appliance: Appliance, state: StateBody): Promise<Evidence> {
  const { files, layout, processes } = appliance;
  const transaction = transactionOf(state);
  const known = keptEvidence(files, layout, transaction.tx);
  if (known !== null) return known;
  const { answered, error } = loadRemembered(files, layout);
  const evidence: Evidence = {
    exit: readUpdaterEnds(files, layout)?.exit ?? null,
    output: headAndTail(await processes.updaterOutput(), evidenceLimits.outputMax),
    checks: [],
    server: {
      before: transaction.baselineServer,
      last: 'unknown',
      byUpdater: answered === null && error === null ? null : error === null,
    },
    timeline: timelineOf(appliance, transaction.tx),
  };
  writeEvidence(appliance, transaction, { evidence });
  return evidence;
}

function writeEvidence({ files, layout, clock, log }: Appliance, transaction: Transaction, seen: object): void {
  const directory = join(layout.evidence, String(transaction.tx));
  const hasRoom = whereThereIsRoom(() => {
    files.makeDirectory(layout.evidence, 0o700);
    files.makeDirectory(directory, 0o700);
    files.syncDirectory(layout.evidence);
    const kept = { transaction, ...seen, boot: clock.bootId(), wallS: clock.wallS() };
    replaceJson(files, join(directory, evidenceName), kept, 0o600);
  });
  if (!hasRoom) log('there is no space for the evidence');
  prune(files, layout);
}

/** The oldest go; what is no evidence of ours is left alone. */
function prune(files: Files, layout: Layout): void {
  const old = files
    .list(layout.evidence)
    .filter((entry) => /^\d+$/.test(entry))
    .sort((a, b) => Number(a) - Number(b));
  for (const entry of old.slice(0, -keptMax)) files.removeTree(join(layout.evidence, entry));
}
