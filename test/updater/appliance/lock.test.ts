import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { takeLock } from '../../../updater/appliance/lock.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const holder = join(import.meta.dirname, '../support/lock-holder.ts');

describe('the lock', () => {
  it('is taken by one, and the second is told so at once', () => {
    const layout = temporaryAppliance();
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    expect(takeLock(layout)).toBeNull();
    lock?.release();
    const again = takeLock(layout);
    expect(again).not.toBeNull();
    again?.release();
  });

  it('of another appliance is another one', () => {
    const [one, other] = [takeLock(temporaryAppliance()), takeLock(temporaryAppliance())];
    expect([one, other]).not.toContain(null);
    one?.release();
    other?.release();
  });

  it('dies with its process, however that ends', async () => {
    const layout = temporaryAppliance();
    const child = execa(process.execPath, [holder, layout.root], { reject: false, stdin: 'pipe' });
    await once(child.stdout, 'data');
    expect(takeLock(layout)).toBeNull();
    child.kill('SIGKILL');
    expect((await child).signal).toBe('SIGKILL');
    const lock = takeLock(layout);
    expect(lock).not.toBeNull();
    lock?.release();
  });

  it('fails loudly where there is no place for it', () => {
    const layout = temporaryAppliance();
    expect(() => takeLock({ ...layout, lock: join(layout.root, 'missing', 'lock.db') })).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
  });
});
