import { join } from 'node:path';
import { z } from 'zod';
import type { StateBody } from '../../protocol/state-record.ts';
import type { TransactionLine } from '../../protocol/status.ts';
import { cut } from '../../protocol/text.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { Asker } from '../appliance/request-name.ts';
import { troubleOf } from '../choice/refused.ts';
import { isBelowFloor, wantedOf } from '../choice/wanted.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import type { MachineEvent } from '../machine/event.ts';
import { readHistory } from '../outcome/history.ts';
import type { CheckInOutcome } from '../server/check-in.ts';
import { loadRemembered } from '../server/remembered-answer.ts';
import { nameOf } from '../words/component-words.ts';
import { sentence } from '../words/sentence.ts';
import { requestTexts, transactionTexts } from '../words/texts.ts';

/**
 * What the updater answers to a person's request: at once what begins, and later, in its place, how that ended. In
 * run/: a reboot forgets it.
 */

const answerShape = z.object({
  id: z.string(),
  outcome: z.string(),
  text: z.string(),
  code: z.string().optional(),
  /** Another answer will replace this one. */
  open: z.boolean().optional(),
  /** The transaction that it began. */
  tx: z.int().optional(),
});
export type RequestAnswer = z.infer<typeof answerShape>;
/** How a request ends: done, refused before anything began, or begun and failed. */
type End = Omit<RequestAnswer, 'id' | 'open' | 'tx'> & { readonly outcome: 'done' | 'refused' | 'failed' };

const textMax = 600;
const answerBytesMax = 16_000;
const places = { lastRequest: 'last-request.json', lastOwnRequest: 'last-own-request.json' } as const;
type Place = (typeof places)[keyof typeof places];

function readAnswer({ files, layout }: Appliance, place: Place): RequestAnswer | null {
  return readKept(files, join(layout.run, place), answerBytesMax, answerShape);
}

function writeAnswer({ files, layout }: Appliance, place: Place, answer: RequestAnswer): void {
  replaceJson(files, join(layout.run, place), { ...answer, text: cut(answer.text, textMax) }, 0o600);
}

/** The answers to the newest request of all, and to the newest of root's own. */
export function lastAnswers(appliance: Appliance): Record<keyof typeof places, RequestAnswer | null> {
  return {
    lastRequest: readAnswer(appliance, places.lastRequest),
    lastOwnRequest: readAnswer(appliance, places.lastOwnRequest),
  };
}

/** Answers the person; page and command line print it. A request from the page never replaces the answer to root's. */
export function tellAsker(appliance: Appliance, asker: Asker, answer: RequestAnswer): void {
  writeAnswer(appliance, places.lastRequest, answer);
  if (asker === 'root') writeAnswer(appliance, places.lastOwnRequest, answer);
  appliance.log(requestTexts.answered(answer.id, answer.outcome, answer.text));
}

/** @returns whether any of them changed */
function changeOpen(appliance: Appliance, changed: (answer: RequestAnswer) => RequestAnswer | null): boolean {
  let hasChanged = false;
  for (const place of Object.values(places)) {
    const answer = readAnswer(appliance, place);
    const after = answer?.open === true ? changed(answer) : null;
    if (after === null) continue;
    writeAnswer(appliance, place, after);
    hasChanged = true;
  }
  return hasChanged;
}

function ended({ id }: RequestAnswer, end: End): RequestAnswer {
  return { id, ...end };
}

/** Does anybody still wait for a look at the server? */
export function isLookAwaited(appliance: Appliance): boolean {
  return Object.values(lastAnswers(appliance)).some((answer) => answer?.open === true && answer.tx === undefined);
}

/** Answers requests whose transaction has ended: the answer repeats its line in the history. */
export function answerEnded(appliance: Appliance, state: StateBody): boolean {
  if (state.transaction !== null) return false;
  return changeOpen(appliance, (answer) => {
    if (answer.tx === undefined) return null;
    if (answer.tx > state.lastTx) return ended(answer, cutOff);
    const line = readHistory(appliance.files, appliance.layout).find(({ tx }) => tx === answer.tx);
    return ended(answer, line === undefined ? endUnknown(state) : endOf(line));
  });
}

/** The request was taken, and the run ended before its record said so: nothing repeats it. */
const cutOff: End = {
  outcome: 'failed',
  code: 'cut-off',
  text: requestTexts.cutOff,
};

function endUnknown({ app }: StateBody): End {
  const text = requestTexts.endNotKept(app.committed.version);
  return { outcome: 'failed', code: 'end-unknown', text };
}

function endOf({ component, to, from, outcome, reason, text }: TransactionLine): End {
  const what = nameOf(wordOf(component), to);
  switch (wordOf(outcome)) {
    case 'committed': {
      // Who went back reads that, and not once more as an installation.
      const said = text.replace(`${from} → ${to}: `, '');
      if (said.startsWith(transactionTexts.wentBack(to))) return { outcome: 'done', text: sentence(said) };
      return { outcome: 'done', text: requestTexts.installed(what, sentence(text)) };
    }
    case 'written':
      return { outcome: 'done', text };
    default:
      return {
        outcome: 'failed',
        code: reason ?? wordOf(outcome),
        text: requestTexts.continuesToRun(sentence(text), from),
      };
  }
}

/** Answers the people who wait for a look at the server, as far as the result is known. */
export function answerLook(
  appliance: Appliance,
  state: StateBody,
  outcome: CheckInOutcome | null,
  event: MachineEvent,
): boolean {
  return changeOpen(appliance, (answer) => {
    if (answer.tx !== undefined) return null;
    const before = answer.outcome === 'begun' ? `${answer.text}; ` : '';
    if (event.kind === 'take') {
      const { component, version } = event.choice;
      const text = requestTexts.beingInstalled(before, nameOf(component, version));
      return { ...answer, outcome: 'begun', text, tx: state.lastTx + 1 };
    }
    const end = outcome === null ? null : lookEnd(appliance, state, outcome);
    return end === null ? null : ended(answer, { ...end, text: `${before}${end.text}` });
  });
}

/** Why the look found nothing to install. */
function lookEnd(appliance: Appliance, state: StateBody, outcome: CheckInOutcome): End {
  if (outcome.outcome !== 'answered') {
    const { code = outcome.outcome, message = outcome.outcome } = outcome.remembered.error ?? {};
    return { outcome: 'failed', code, text: requestTexts.serverNotReached(message) };
  }
  const { desired } = loadRemembered(appliance.files, appliance.layout);
  const runs = state.app.committed.version;
  const release = desired?.release ?? null;
  if (release === null) {
    const why = desired?.reasons[0] === undefined ? '' : ` ${sentence(desired.reasons[0])}`;
    return {
      outcome: 'done',
      text: requestTexts.nothingOther(runs, why),
    };
  }
  const { version, manifest } = release;
  const what = nameOf(wordOf(release.component), version);
  if (state.safe?.reason === 'records-newer')
    return { outcome: 'refused', code: 'records-newer', text: requestTexts.notInstalled(what, state.safe.text) };
  const wanted = wantedOf(state, desired);
  if (wanted.kind === 'hold') return { outcome: 'refused', code: 'held', text: sentence(wanted.reason) };
  if (wanted.kind === 'nothing') {
    return wanted.why === 'quarantined'
      ? { outcome: 'refused', code: 'quarantined', text: requestTexts.rolledBackHere(what) }
      : { outcome: 'done', text: requestTexts.nothingNew(what) };
  }
  if (isBelowFloor(appliance, manifest))
    return { outcome: 'refused', code: 'floor', text: requestTexts.belowFloor(what) };
  const why = troubleOf(appliance, state, desired) ?? requestTexts.refusedBefore;
  return { outcome: 'refused', code: 'refused-before', text: requestTexts.triedLater(what, sentence(why)) };
}
