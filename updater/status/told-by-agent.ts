import type { HealthAnswer } from '../../protocol/health.ts';
import { toldSentencesMax } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { dutyText, settingText } from '../words/texts.ts';

type DutyOf = NonNullable<HealthAnswer['duties']>[number];

/** What the agent tells: settings that are not in force, and duties that are left alone or failed last. */
export function toldByAgent(answer: HealthAnswer | null): string[] {
  const inTrouble = (answer?.duties ?? []).filter(({ state, failures }) => wordOf(state) === 'open' || failures > 0);
  const notes = (answer?.notes ?? []).map(settingText);
  return [...notes, ...inTrouble.map(sentenceOf)].slice(0, toldSentencesMax);
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
