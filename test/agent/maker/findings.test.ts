import { describe, expect, it } from 'vitest';
import type { RunOutcome } from '../../../agent/duties/definition.ts';
import { Findings } from '../../../agent/maker/findings.ts';

const check = { name: 'meter', everyMs: 1_000, timeoutMs: 500 };
const signal = new AbortController().signal;

function checkOf() {
  const now = { monoMs: 0 };
  const findings = new Findings([check], () => now.monoMs);
  const look = (outcome: RunOutcome) => findings.duty(check, async () => outcome).run(signal);
  return { now, findings, look };
}
const done = (result: unknown): RunOutcome => ({ outcome: 'done', result });

describe('a check of a maker', () => {
  it('is unknown before it has looked, then what it found, and unknown again once that is old', async () => {
    const { now, findings, look } = checkOf();
    expect([findings.statuses(), findings.sentences()]).toEqual([
      { meter: 'unknown' },
      { meter: 'It has not looked yet.' },
    ]);
    await look(done({ status: 'warn', sentence: 'It is hot.', value: 71.5, unit: '°C', next: 'Look at the fan.' }));
    expect([findings.statuses(), findings.sentences()]).toEqual([
      { meter: 'warn' },
      { meter: 'It is hot. (71.5 °C) Look at the fan.' },
    ]);
    now.monoMs = 3_500;
    expect(findings.statuses()).toEqual({ meter: 'warn' });
    now.monoMs = 3_501;
    expect([findings.statuses(), findings.sentences()]).toEqual([
      { meter: 'unknown' },
      { meter: 'It looked too long ago.' },
    ]);
  });

  it.each<[string, RunOutcome, RegExp]>([
    ['throws', { outcome: 'failed', code: 'threw', error: 'Error: no port\n  at x' }, /\(threw\): Error: no port$/],
    ['finds nothing', done(undefined), /no finding/],
    ['finds a status that there is not', done({ status: 'fine', sentence: 'So it is.' }), /no finding: status/],
    ['says nothing', done({ status: 'ok', sentence: '' }), /no finding: sentence/],
    ['says too much', done({ status: 'ok', sentence: 'x'.repeat(301) }), /no finding: sentence/],
  ])('that %s is unknown, and its run has failed', async (_, outcome, words) => {
    const { findings, look } = checkOf();
    await look(done({ status: 'ok', sentence: 'All is well.' }));
    expect(await look(outcome)).toMatchObject({ outcome: 'failed' });
    expect(findings.statuses()).toEqual({ meter: 'unknown' });
    expect(findings.sentences().meter).toMatch(words);
  });
});
