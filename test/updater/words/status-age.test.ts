import { describe, expect, it } from 'vitest';
import { statusShape } from '../../../protocol/status.ts';
import { statusAge } from '../../../updater/words/status-age.ts';
import { soundStatus } from '../page/page-box.ts';

const [boot, wallS] = ['boot-1', 1_770_000_000];
const status = statusShape.parse(soundStatus({ boot, monoMs: 1_000_000, wallS }));

function ageAfter(ms: number, freeBytes: number) {
  const clock = { monoMs: () => 1_000_000 + ms, bootId: () => boot, wallS: () => wallS };
  return statusAge(status, 0, clock, () => freeBytes);
}

describe('a status', () => {
  it('on a disk that is full is old after half a minute: nothing newer could be written', () => {
    expect(ageAfter(30_000, 0)).toEqual({ kind: 'known', ageMs: 30_000 });
    expect(ageAfter(30_001, 0)).toMatchObject({ kind: 'old', why: expect.stringContaining('disk is full') });
  });

  it('on any other disk is old after three looks that did not come', () => {
    expect(ageAfter(5 * 60_000, 1e9).kind).toBe('known');
    expect(ageAfter(5 * 60_000 + 1, 1e9)).toMatchObject({
      why: expect.stringContaining('has not looked for 5 minutes'),
    });
  });
});
