import { describe, expect, it } from 'vitest';
import { healthAnswerShape } from '../../../protocol/health.ts';
import { toldSentencesMax } from '../../../protocol/status.ts';
import { toldByAgent } from '../../../updater/status/told-by-agent.ts';

const answer = {
  ...{ proto: 1, nonce: 'ab'.repeat(32), version: '1.0.0', progress: 5, state: { schema: 1, migrated: true } },
  ...{ checks: {}, server: 'ok' },
};
const failed = { outcome: 'failed', agoMs: 5, tookMs: 1, text: 'threw: no meter\n  at read' };
const duty = { name: 'meter', state: 'waiting', nextInMs: 60_000, failures: 1, last: failed };
const sentences = (...duties: unknown[]) => toldByAgent(healthAnswerShape.parse({ ...answer, duties }));

describe('what the status says of what the agent tells', () => {
  it('is a sentence for each setting that is not in force', () => {
    const notes = ['intervalMs: it must be a number; 1000 holds'];
    expect(toldByAgent(healthAnswerShape.parse({ ...answer, notes }))).toEqual([
      'agent.json: intervalMs: it must be a number; 1000 holds.',
    ]);
  });

  it('is a sentence for each one in trouble, with its last error and its next try', () => {
    const well = { ...duty, name: 'well', failures: 0, last: { ...failed, outcome: 'done', text: '' } };
    const open = { ...duty, name: 'pump', state: 'open', failures: 3, nextInMs: 299_700 };
    const nightly = { ...duty, name: 'nightly', nextInMs: null };
    expect(sentences(well, duty, open, nightly)).toEqual([
      'The duty meter failed and is tried again in 60 s: threw: no meter.',
      'The duty pump failed 3 times in a row, is left alone for now, and is tried again in 300 s: threw: no meter.',
      'The duty nightly failed and is not tried again today: threw: no meter.',
    ]);
    expect([sentences(), toldByAgent(null), toldByAgent(healthAnswerShape.parse(answer))]).toEqual([[], [], []]);
  });

  it('is bounded, and what an agent says in another shape takes nothing else away', () => {
    expect(sentences(...Array.from({ length: 60 }, () => duty))).toHaveLength(toldSentencesMax);
    const odd = healthAnswerShape.parse({ ...answer, duties: [{ ...duty, name: 'x'.repeat(41) }] });
    expect([odd.duties, odd.progress]).toEqual([undefined, 5]);
  });
});
