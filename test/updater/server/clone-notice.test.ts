import { describe, expect, it } from 'vitest';
import { cloneNotice } from '../../../updater/server/clone-notice.ts';

const [here, there] = ['aaaaaaaa-1111-4111-8111-111111111111', 'bbbbbbbb-2222-4222-8222-222222222222'];
const sides = [
  { boot: here, address: '192.0.2.1' },
  { boot: there, address: '192.0.2.2' },
];
const both = ['agent', 'updater'];

describe('the notice of two machines with one identity', () => {
  it('says on each of them which one it is, and where the other one is', () => {
    const original = cloneNotice(sides, both, { boot: here, host: 'pier-1' });
    const copy = cloneNotice(sides, both, { boot: there, host: 'bench' });
    expect(original).toMatch(
      /This one is pier-1 \(boot aaaaaaaa\), the server saw the other one at 192\.0\.2\.2 \(boot bbbb/,
    );
    expect(copy).toMatch(
      /This one is bench \(boot bbbbbbbb\), the server saw the other one at 192\.0\.2\.1 \(boot aaaa/,
    );
    for (const notice of [original, copy])
      expect(notice).toContain('On the copy, and only there: holdfast-updater setup');
  });

  it('names the one key where only that is in use twice, and says what it may mean', () => {
    const notice = cloneNotice(sides, ['agent'], { boot: here, host: '' });
    expect(notice).toMatch(/^two machines use the key of this appliance's agent, not its updater's/);
    expect(notice).not.toBe(cloneNotice(sides, both, { boot: here, host: '' }));
  });
});
