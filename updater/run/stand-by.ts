import { type StateBody, safeTextMax } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';
import { type Appliance, freshMemory } from '../appliance/appliance.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import { chooseSlot, readPrefix } from '../launch/table.ts';
import { knownRecord } from '../record/record-store.ts';
import { factoryWords } from '../recovery/factory-words.ts';
import { keepRecovered, recoveredState } from '../recovery/recover-state.ts';
import { answerLook } from '../requests/request-answers.ts';
import { takeRequestInStandBy } from '../requests/requests.ts';
import { publishStatus } from '../status/publish-status.ts';
import { reportToServer } from '../status/report.ts';
import { agentFacts } from '../watch/crashes.ts';
import { endHungAgent, lookAtAgent } from '../watch/watch-agent.ts';
import { runTexts } from '../words/texts.ts';
import { keepUpAndTell } from './tell.ts';

const recordBytesMax = 64 * 1024;

/**
 * A run of an updater whose records a newer updater wrote, with content that this one does not understand, as after a
 * fallback to factory. It changes nothing, because it cannot know what it would break. It keeps the agent up, which
 * launch starts by the stable prefix of the record, checks in, and reports the problem. Only a person who brings a
 * bundle makes it begin its own records, from what the slots say; the newer records are kept as `state.newer.*`.
 * @returns the state to continue with, because a bundle is to be installed; null: it stood by
 */
export async function standBy(appliance: Appliance, why: string): Promise<StateBody | null> {
  const { files, layout } = appliance;
  const known = recoveredState(files, layout);
  if (known === null) return null;
  const text = cut(`${why}; ${whatRuns(appliance, known.state)}`, safeTextMax);
  const safe = { reason: 'records-newer', tx: 0, text } as const;
  const view = { ...known.state, row: 'safe', transaction: null, trial: null, safe } as const;
  const asked = await takeRequestInStandBy(appliance, view);
  if (asked === 'install') {
    keepNewer(appliance);
    keepRecovered(files, layout, known);
    appliance.log(runTexts.recordsAgain(why));
    return known.state;
  }
  await lookAtAgent(appliance);
  const outcome = await reportToServer(appliance, view, freshMemory(asked === 'asked'), { fresh: false });
  if (answerLook(appliance, view, outcome, { kind: 'nothing' })) await publishStatus(appliance, view);
  const facts = await agentFacts(appliance);
  const hung = await endHungAgent(appliance, view, facts);
  await keepUpAndTell(appliance, view, hung ? await agentFacts(appliance) : facts);
  return null;
}

/** What launch starts from the records as they are. */
function whatRuns({ files, layout, clock }: Appliance, { app }: StateBody): string {
  const prefix = readPrefix(knownRecord(files, layout.stateRecords)?.body);
  const choice = prefix === null ? null : chooseSlot('app', prefix, null, clock.bootId());
  if (choice?.start === 'slot') return runTexts.continuesToRun(app.committed.version);
  return choice?.start === 'nothing' ? runTexts.noAgentRuns : factoryWords({ files, layout });
}

function keepNewer({ files, layout }: Appliance): void {
  for (const [index, path] of layout.stateRecords.entries()) {
    const bytes = readFile(files, path, recordBytesMax);
    if (bytes !== null) replaceFile(files, `${layout.updater}/state.newer.${index}`, bytes, 0o600);
  }
}
