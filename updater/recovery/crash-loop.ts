import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { wayBack } from '../choice/acceptance.ts';
import { trialOf } from '../choice/going-back.ts';
import type { MachineEvent } from '../machine/event.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { type LastAnswer, type Rescue, rescueOf, type StayCode, stayText, windowNow } from '../verdict/rescue.ts';
import { keepBursts, knownBursts } from '../watch/bursts.ts';
import { recoveryTexts } from '../words/texts.ts';
import { isWhole } from './safe-mode.ts';

/** A committed version in a crash loop, and how the updater leaves it without a person. */

function lastAnswer({ files, layout, clock }: Appliance): LastAnswer {
  const { answered, desired, error } = loadRemembered(files, layout);
  const isOfThisBoot = answered !== null && answered.boot === clock.bootId();
  return {
    openForS: isOfThisBoot ? (desired?.openForS ?? null) : null,
    ageMs: isOfThisBoot ? Math.max(0, clock.monoMs() - answered.monoMs) : clock.monoMs(),
    isNewest: error === null,
  };
}

const whatItDoes = ({ hung }: { readonly hung: boolean }) => (hung ? recoveryTexts.hangs : recoveryTexts.crashes);

/** What to do about a crash loop now. If the version stays, this is reported, and `why` says so from then on. */
export function lookAtLoop(appliance: Appliance, state: StateBody): Rescue {
  const { clock } = appliance;
  const { committed, previous } = state.app;
  const way = wayBack(appliance, state);
  const bursts = knownBursts(appliance, state);
  const answer = lastAnswer(appliance);
  const found = rescueOf({
    refused: way.kind === 'refused' ? way.code : null,
    isQuarantined: state.quarantine.some(({ manifest }) => manifest === previous?.manifest),
    wasLeft: state.rescued === committed.manifest,
    window: windowNow(answer),
    aloneForMs: Math.min(answer.ageMs, clock.monoMs() - (bursts.sinceMs ?? clock.monoMs())),
    isWhole: () => previous !== null && isWhole(appliance, previous),
  });
  const stays = found.kind === 'stay' ? stayText(found.code, previous?.version ?? null) : null;
  keepBursts(appliance, { ...bursts, stays });
  if (found.kind === 'stay')
    tell(appliance, state, found.code, recoveryTexts.staysAlthough(committed.version, whatItDoes(bursts), stays));
  return found;
}

export function leaveLoop(appliance: Appliance, state: StateBody): MachineEvent {
  const { committed, previous } = state.app;
  if (previous === null) throw new RangeError('there is nothing to go back to');
  const does = whatItDoes(knownBursts(appliance, state));
  const text = recoveryTexts.goesBack(committed.version, does, previous.version);
  appliance.log(text);
  appliance.events.add(`crash-loop ${appliance.clock.bootId()} ${state.lastTx + 1}`, { kind: 'note', text });
  return { kind: 'return', trial: trialOf(appliance, previous.slot), cause: 'crash-loop' };
}

/** Once per reason and boot: this news does not wait for the usual interval. */
function tell({ events, clock, log }: Appliance, { app }: StateBody, code: StayCode, text: string): void {
  log(text);
  events.add(`stays ${clock.bootId()} ${app.committed.manifest} ${code}`, { kind: 'note', text });
}
