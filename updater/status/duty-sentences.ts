import type { HealthAnswer } from '../../protocol/health.ts';
import { dutySentencesMax } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { dutyText } from '../words/texts.ts';

type DutyOf = NonNullable<HealthAnswer['duties']>[number];

/** A sentence for each of the agent's duties that is left alone or failed last, as the agent tells it. */
export function dutySentences(answer: HealthAnswer | null): string[] {
  const inTrouble = (answer?.duties ?? []).filter(({ state, failures }) => wordOf(state) === 'open' || failures > 0);
  return inTrouble.slice(0, dutySentencesMax).map(sentenceOf);
}

function sentenceOf({ name, state, failures, nextInMs, last }: DutyOf): string {
  const [error = ''] = (last?.text ?? '').split('\n', 1);
  return dutyText(name, {
    isLeftAlone: wordOf(state) === 'open',
    failures,
    nextInS: nextInMs === null ? null : Math.round(nextInMs / 1_000),
    error,
  });
}
