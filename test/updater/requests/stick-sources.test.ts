import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { noSources } from '../../../protocol/sources.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { readSources, sourcesInUse, takeSources } from '../../../updater/trust/sources.ts';
import { StickBox } from '../support/stick-box.ts';

const releases = [{ name: 'cache', kind: 'cache' as const, url: 'http://cache.site:8080/releases' }];
let box: StickBox;
beforeEach(async () => {
  box = await StickBox.make();
});
const place = () => ({ files: realFiles, layout: box.layout });
const put = (value: unknown, name = 'holdfast-sources.json') =>
  writeFileSync(join(box.stick, name), typeof value === 'string' ? value : JSON.stringify(value));

describe('sources on a stick', () => {
  it('are taken, and the path before them is kept until they are verified', async () => {
    put({ ...noSources, releases });
    await box.taken();
    expect(readSources(place())?.current).toMatchObject({ origin: 'stick', releases });
    expect(sourcesInUse(place())).toHaveLength(2);
  });

  it('are taken once: what somebody sets afterwards stays while the stick does', async () => {
    put({ ...noSources, releases });
    await box.taken();
    takeSources(place(), { ...noSources, proxy: 'http://proxy.site:3128' }, 'page');
    await box.taken();
    expect(readSources(place())?.current).toMatchObject({ origin: 'page', proxy: 'http://proxy.site:3128' });
    put({ ...noSources, rateBytesPerS: 9_000 });
    await box.taken();
    expect(readSources(place())?.current).toMatchObject({ origin: 'stick', rateBytesPerS: 9_000 });
  });

  it.each([
    ['are not JSON', '{'],
    ['are of another shape', { releases: 7 }],
    ['are too large', ' '.repeat(100_000)],
  ])('change nothing when they %s', async (_what, value) => {
    put(value);
    await box.taken();
    expect(readSources(place())).toBeNull();
  });

  it('are not a directory of that name, nor a file of another one', async () => {
    mkdirSync(join(box.stick, 'holdfast-sources.json'));
    put({ ...noSources, releases }, 'sources.json');
    await box.taken();
    expect(readSources(place())).toBeNull();
    rmSync(join(box.stick, 'holdfast-sources.json'), { recursive: true });
  });
});
