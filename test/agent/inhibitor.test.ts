import { expect, it } from 'vitest';
import { Inhibitor } from '../../agent/inhibitor.ts';

const clock = { nowMs: 1_000, monoMs: () => clock.nowMs, wallS: () => 0 };

it('asks not to be stopped while work runs, and not after it, however that ended', async () => {
  const inhibitor = new Inhibitor(clock);
  expect(inhibitor.words).toBeNull();
  const seen = await inhibitor.during('the order identify runs', async () => inhibitor.words);
  expect([seen, inhibitor.words]).toEqual(['the order identify runs', null]);
  const failing = inhibitor.during('the order identify runs', () => Promise.reject(new TypeError('broken')));
  await expect(failing).rejects.toThrow('broken');
  expect(inhibitor.words).toBeNull();
});

it('does not ask for work that may never end', async () => {
  const inhibitor = new Inhibitor(clock);
  await inhibitor.during('x'.repeat(300), async () => {
    expect(inhibitor.words).toBe('x'.repeat(200));
    clock.nowMs += 10 * 60_000 - 1;
    expect(inhibitor.words).not.toBeNull();
    clock.nowMs += 1;
    expect(inhibitor.words).toBeNull();
  });
});
