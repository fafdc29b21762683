import { describe, expect, it } from 'vitest';
import { type Sign, signSeen, workingOf } from '../../../updater/verdict/standstill.ts';

const limits = { stallMs: 150_000, answerMs: 60_000 };
const boot = '00000000-0000-4000-8000-000000000001';
const minute = 60_000;

type Look = {
  readonly atMs: number;
  readonly progress: number | null;
  readonly start?: string;
  readonly boot?: string;
};

/** What is known after looks at one agent; without a progress it did not answer. */
function seenAfter(looks: readonly Look[]) {
  let sign: Sign | null = null;
  for (const look of looks) {
    const answer = look.progress === null ? null : { progress: look.progress };
    sign = signSeen(sign, look.start ?? 'a', answer, { boot: look.boot ?? boot, atMs: look.atMs });
  }
  return workingOf(sign, looks.at(-1)?.atMs ?? 0, limits);
}
const looksEach = (everyMs: number, count: number, progress: number | null): Look[] =>
  Array.from({ length: count }, (_, i) => ({ atMs: (i + 1) * everyMs, progress }));

describe('whether a committed agent works', () => {
  it('is not known before it has answered, nor when it did not answer this once', () => {
    expect(seenAfter([])).toEqual({ word: 'unknown' });
    expect(seenAfter([{ atMs: 0, progress: null }])).toEqual({ word: 'unknown' });
    const once = [
      { atMs: 0, progress: 1 },
      { atMs: 10 * minute, progress: null },
    ];
    expect(seenAfter(once)).toEqual({ word: 'unknown' });
  });

  it('is shown by a counter that rises, whatever time lies between two looks', () => {
    expect(seenAfter([{ atMs: 0, progress: 0 }])).toEqual({ word: 'works' });
    const days = [1, 2, 3, 4].map((n) => ({ atMs: n * 1_440 * minute, progress: n }));
    expect(seenAfter(days)).toEqual({ word: 'works' });
    expect(seenAfter([...looksEach(minute, 30, 7), { atMs: 31 * minute, progress: 8 }])).toEqual({ word: 'works' });
  });

  it('is denied by silence of a minute, and by work that stands still for as long as fails a trial', () => {
    expect(seenAfter(looksEach(minute, 2, null))).toEqual({ word: 'silent', forMs: minute, isHung: false });
    expect(seenAfter(looksEach(minute, 4, 7))).toEqual({ word: 'works' });
    expect(seenAfter(looksEach(minute, 5, 7))).toEqual({ word: 'still', forMs: 3 * minute, isHung: false });
    const back = [...looksEach(minute, 5, 7), { atMs: 6 * minute, progress: 3 }];
    expect(seenAfter(back)).toEqual({ word: 'still', forMs: 4 * minute, isHung: false });
  });

  it.each([
    { of: 'silence', progress: null, word: 'silent' },
    { of: 'standing still', progress: 7, word: 'still' },
  ])('calls it hung after ten minutes of $of, by its first look that found nothing', ({ progress, word }) => {
    const first = progress === null ? 1 : 2;
    expect(seenAfter(looksEach(minute, first + 9, progress))).toMatchObject({ word, isHung: false });
    expect(seenAfter(looksEach(minute, first + 10, progress))).toEqual({ word, forMs: 10 * minute, isHung: true });
  });

  it('does not hold time against it in which nobody looked, nor many looks in little time', () => {
    const away = [
      { atMs: 0, progress: 1 },
      { atMs: 600 * minute, progress: null },
      { atMs: 600 * minute + 1_000, progress: null },
      { atMs: 600 * minute + 2_000, progress: null },
    ];
    expect(seenAfter(away)).toEqual({ word: 'unknown' });
    // Two looks ten minutes apart are two looks.
    expect(seenAfter(looksEach(10 * minute, 2, null))).toEqual({ word: 'silent', forMs: 10 * minute, isHung: false });
  });

  it('begins anew with another start and another boot', () => {
    const hung = looksEach(minute, 20, null);
    expect(seenAfter([...hung, { atMs: 21 * minute, progress: null, start: 'b' }])).toEqual({ word: 'unknown' });
    const rebooted = { atMs: 1_000, progress: null, boot: '00000000-0000-4000-8000-000000000002' };
    expect(seenAfter([...hung, rebooted])).toEqual({ word: 'unknown' });
    expect(seenAfter([...looksEach(minute, 20, 7), { atMs: 21 * minute, progress: 0, start: 'b' }])).toEqual({
      word: 'works',
    });
  });
});
