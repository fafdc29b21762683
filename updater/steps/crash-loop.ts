import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { type LastAnswer, type Rescue, rescueOf, type StayCode, stayText, windowNow } from '../rescue.ts';
import { wayBack } from './acceptance.ts';
import { keepBursts, knownBursts } from './bursts.ts';
import { trialOf } from './going-back.ts';
import { isWhole } from './proof.ts';

/** A committed version that crash-loops: the way out of it that needs nobody. */

function lastAnswer({ files, layout, clock }: Appliance): LastAnswer {
  const { answered, desired, error } = loadRemembered(files, layout);
  const isOfThisBoot = answered !== null && answered.boot === clock.bootId();
  return {
    openForS: isOfThisBoot ? (desired?.openForS ?? null) : null,
    ageMs: isOfThisBoot ? Math.max(0, clock.monoMs() - answered.monoMs) : clock.monoMs(),
    isNewest: error === null,
  };
}

const whatItDoes = ({ hung }: { readonly hung: boolean }) => (hung ? 'hangs' : 'crashes');

/** What to do about a crash loop now. What stays is told, and `why` says it from here on. */
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
    tell(appliance, state, found.code, `${committed.version} ${whatItDoes(bursts)} again and again. ${stays}`);
  return found;
}

export function leaveLoop(appliance: Appliance, state: StateBody): MachineEvent {
  const { app, lastTx } = state;
  const { committed, previous } = app;
  if (previous === null) throw new RangeError('there is nothing to go back to');
  const does = whatItDoes(knownBursts(appliance, state));
  const text = `${committed.version} ${does} again and again: it goes back to ${previous.version} by itself`;
  appliance.log(text);
  appliance.events.add(`crash-loop ${lastTx + 1}`, { kind: 'note', text });
  return { kind: 'return', trial: trialOf(appliance, previous.slot), cause: 'crash-loop' };
}

/** Once for each reason in a boot: news that does not wait for the pace. */
function tell({ events, clock, log }: Appliance, { app }: StateBody, code: StayCode, text: string): void {
  log(text);
  events.add(`stays ${clock.bootId()} ${app.committed.manifest} ${code}`, { kind: 'note', text });
}
