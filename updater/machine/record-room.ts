import { recordBodyBytesMax } from '../../protocol/record.ts';
import { failureTextMax, type StateBody } from '../../protocol/state-record.ts';
import { cut } from '../../protocol/text.ts';

/** A record must always be writable: these bytes are kept free for what a trial still adds (its verdict, its times). */
const reservedBytes = 400;
/** The least number of characters that remain of a verdict's text. */
const failureTextLeast = 60;

function hasRoom(state: StateBody): boolean {
  const reserved = state.transaction !== null && state.transaction.failure === null ? reservedBytes : 0;
  return Buffer.byteLength(JSON.stringify(state)) + reserved <= recordBodyBytesMax;
}

type Step = (state: StateBody) => StateBody | null;

/** Only checks that were good can regress; the others are removed first. */
const shorterBaseline: Step = (state) => {
  const { transaction } = state;
  const entries = Object.entries(transaction?.baseline ?? {});
  if (transaction === null || entries.length === 0) return null;
  const spare = entries.findLastIndex(([, status]) => status !== 'ok' && status !== 'warn');
  const baseline = Object.fromEntries(entries.toSpliced(spare, 1));
  return { ...state, transaction: { ...transaction, baseline } };
};

const shorterVerdict: Step = (state) => {
  const { transaction } = state;
  const failure = transaction?.failure ?? null;
  if (transaction === null || failure === null || failure.text.length <= failureTextLeast) return null;
  const text = failure.text.slice(0, Math.max(failureTextLeast, failure.text.length / 2));
  return { ...state, transaction: { ...transaction, failure: { ...failure, text } } };
};

/** As when there are too many: the oldest is removed. */
const shorterQuarantine: Step = (state) =>
  state.quarantine.length === 0 ? null : { ...state, quarantine: state.quarantine.slice(1) };

const steps: readonly Step[] = [shorterBaseline, shorterVerdict, shorterQuarantine];

/**
 * The state, reduced to fit its record. Names of checks and the text of a verdict come from the agent: whatever they
 * are, the updater must be able to write its next row and to read it again.
 */
export function fitted(state: StateBody): StateBody {
  const failure = state.transaction?.failure;
  if (state.transaction !== null && failure && failure.text.length > failureTextMax) {
    const text = cut(failure.text, failureTextMax);
    return fitted({ ...state, transaction: { ...state.transaction, failure: { ...failure, text } } });
  }
  let current = state;
  for (const shorter of steps) {
    while (!hasRoom(current)) {
      const next = shorter(current);
      if (next === null) break;
      current = next;
    }
  }
  return current;
}
