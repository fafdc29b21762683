import { type StateBody, safeTextMax } from '../protocol/state-record.ts';
import { type Appliance, freshMemory } from './appliance.ts';
import { readFile, replaceFile } from './effects/durable.ts';
import { chooseSlot, readPrefix } from './launch-table.ts';
import { knownRecord } from './record-store.ts';
import { keepRecovered, recoveredState } from './recover-state.ts';
import { agentFacts } from './steps/crashes.ts';
import { keepAgentUp } from './steps/keep-agent.ts';
import { reportToServer } from './steps/report.ts';
import { takeRequestInStandBy } from './steps/requests.ts';
import { endHungAgent, lookAtAgent } from './steps/watch-agent.ts';

const recordBytesMax = 64 * 1024;

/**
 * A run of an updater whose records are those of a newer one and say what it does not understand, as after a fall back to
 * factory: it changes nothing, because it does not know what it would break. It keeps the agent up, which launch starts
 * by the stable prefix of the record, checks in, and says what is the matter. Only a person who brings a bundle makes it
 * begin records of its own, from what the slots tell; those of the newer one are kept as `state.newer.*`.
 * @returns the state to go on with, because a bundle is to be installed; null: it stood by
 */
export async function standBy(appliance: Appliance, why: string): Promise<StateBody | null> {
  const { files, layout } = appliance;
  const known = recoveredState(files, layout);
  if (known === null) return null;
  const text = `${why}; ${whatRuns(appliance, known.state)}`.slice(0, safeTextMax);
  const safe = { reason: 'records-newer', tx: 0, text } as const;
  const view = { ...known.state, row: 'safe', transaction: null, trial: null, safe } as const;
  const asked = await takeRequestInStandBy(appliance, view);
  if (asked === 'install') {
    keepNewer(appliance);
    keepRecovered(files, layout, known);
    appliance.log(`${why}; a person brought a bundle: records begin anew, from what the slots tell`);
    return known.state;
  }
  await lookAtAgent(appliance);
  await reportToServer(appliance, view, freshMemory(asked === 'asked'), { fresh: false });
  const facts = await agentFacts(appliance);
  const hung = await endHungAgent(appliance, view, facts);
  await keepAgentUp(appliance, view, hung ? await agentFacts(appliance) : facts);
  return null;
}

/** What launch starts out of the records as they are. */
function whatRuns({ files, layout, clock }: Appliance, { app }: StateBody): string {
  const prefix = readPrefix(knownRecord(files, layout.stateRecords)?.body);
  const choice = prefix === null ? null : chooseSlot('app', prefix, null, clock.bootId());
  if (choice?.start === 'slot') return `${app.committed.version} runs on`;
  return choice?.start === 'nothing' ? 'no agent runs' : 'the factory agent runs on a state of its own';
}

function keepNewer({ files, layout }: Appliance): void {
  for (const [index, path] of layout.stateRecords.entries()) {
    const bytes = readFile(files, path, recordBytesMax);
    if (bytes !== null) replaceFile(files, `${layout.updater}/state.newer.${index}`, bytes, 0o600);
  }
}
