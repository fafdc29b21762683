import { setTimeout as delay } from 'node:timers/promises';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Attack, inBoth } from './attack.ts';
import { answered, startOf } from './look.ts';

/** Two answers, a moment apart, by the same start. */
async function twice(box: ApplianceBox, apartMs: number) {
  const first = await answered(box);
  await delay(apartMs);
  const second = await answered(box);
  const [one, two] = [first?.json, second?.json];
  return one && two && one.nonce === two.nonce ? ([one, two] as const) : null;
}

/** Agents whose answer is the attack. */
export const answers: readonly Attack[] = [
  {
    ...inBoth,
    version: '1.0.79',
    how: 'answers that all is well, and does nothing',
    onTrial: 'stalled',
    tookEffect: async (box) => {
      const [one, two] = (await twice(box, 1_500)) ?? [];
      return one !== undefined && one.progress === two?.progress && !JSON.stringify(one.checks).includes('fail');
    },
  },
  {
    ...inBoth,
    version: '1.0.80',
    how: 'does nothing, and moves its counter inside the answer',
    onTrial: 'stalled',
    tookEffect: async (box) => {
      const [one, two] = (await twice(box, 0)) ?? [];
      return one !== undefined && Number(two?.progress) > Number(one.progress);
    },
  },
  {
    ...inBoth,
    version: '1.0.81',
    how: 'says that it is another version',
    onTrial: 'wrong-version',
    tookEffect: async (box) => (await answered(box))?.json?.version === '9.9.9',
  },
  {
    ...inBoth,
    version: '1.0.82',
    how: 'answers with an old nonce',
    onTrial: 'no-answer',
    tookEffect: async (box) => {
      const nonce = (await answered(box))?.json?.nonce;
      return typeof nonce === 'string' && nonce !== startOf(box).nonce;
    },
  },
  {
    ...inBoth,
    version: '1.0.85',
    how: 'answers with a gigabyte',
    onTrial: 'no-answer',
    // Hundreds of times what an answer may have, and more is coming.
    tookEffect: async (box) => ((await answered(box, 10_000))?.bytes ?? 0) >= 16 * 1024 * 1024,
  },
  {
    ...inBoth,
    version: '1.0.86',
    how: 'answers with one byte a second',
    onTrial: 'no-answer',
    tookEffect: async (box) => {
      const answer = await answered(box, 2_500);
      return answer !== null && !answer.hasEnded && answer.bytes >= 1 && answer.bytes <= 3;
    },
  },
  {
    ...inBoth,
    version: '1.0.87',
    how: 'answers with something that is not JSON',
    onTrial: 'no-answer',
    tookEffect: async (box) => (await answered(box))?.text.startsWith('<html>') ?? false,
  },
];
