import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { noSources, sourcesShape } from '../../protocol/sources.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { makeHttp } from '../../updater/effects/http.ts';
import { resolveFromServer } from '../../updater/release/resolve-release.ts';
import { readSources, takeSources } from '../../updater/trust/sources.ts';
import { installFirstRoot } from '../../updater/trust/trust-store.ts';
import { makeAppliance } from '../support/bundle-fixture.ts';
import { TestServer } from '../support/test-server.ts';
import { anything } from '../updater/release/install.ts';
import { checkout, nodeBinary } from './fixture-tree.ts';

const main = join(checkout, 'image', 'main.ts');
const answerShape = z.object({ sources: sourcesShape.nullable(), bundle: z.string().nullable().optional() });

function sourcesOf(bench: TestServer) {
  const places = [
    '--repository',
    join(bench.directory, 'repository'),
    '--server-keys',
    join(bench.data, 'public-keys.json'),
  ];
  const run = (...words: string[]) =>
    execa(nodeBinary, [main, 'sources', ...words, ...places, '--json'], { reject: false });
  return { run, told: async (...words: string[]) => answerShape.parse(JSON.parse((await run(...words)).stdout)) };
}

describe('sources that an operator signs', () => {
  it('are shown, rehearsed, signed, published, taken by an appliance, and taken back', async () => {
    await using bench = await TestServer.start();
    const manifest = await bench.publish('1.0.0');
    const { dir } = await bench.repository();
    const { told } = sourcesOf(bench);
    const file = join(bench.directory, 'sources.json');
    const cache = { name: 'cache', kind: 'cache', url: `${bench.url}/releases` };
    await writeFile(file, JSON.stringify({ releases: [cache], rateBytesPerS: 5_000_000 }));
    expect(await told('show')).toEqual({ sources: null });
    const wanted = { ...noSources, seq: 1, releases: [cache], rateBytesPerS: 5_000_000 };
    const before = await readFile(join(dir, 'metadata', 'targets.json'));
    expect(await told('set', file, '--dry-run')).toMatchObject({ sources: wanted, bundle: null });
    expect(await readFile(join(dir, 'metadata', 'targets.json'))).toEqual(before);
    const { bundle } = await told('set', file);
    expect(await told('show')).toMatchObject({ sources: wanted });
    expect((await bench.upload(bundle ?? '')).status).toBe(201);

    using appliance = makeAppliance();
    const place = { files: realFiles, layout: appliance.layout };
    const root = await readFile(join(dir, 'metadata', '1.root.json'));
    installFirstRoot(place, root, sha256(root));
    const release = { component: 'app', version: '1.0.0', manifest } as const;
    const resolve = async () => {
      const resolved = await resolveFromServer(
        { ...place, http: makeHttp() },
        `${bench.url}/releases`,
        release,
        anything,
      );
      resolved.bundle.source.close();
      return readSources(place)?.current;
    };
    expect(await resolve()).toMatchObject({ ...wanted, origin: 'targets' });
    // A technician's stay until other ones are signed.
    takeSources(place, { ...noSources, proxy: null, rateBytesPerS: 1_000_000 }, 'page');
    expect(await resolve()).toMatchObject({ seq: 2, rateBytesPerS: 1_000_000, origin: 'page' });
    await told('set', file);
    const cleared = await told('clear');
    expect(cleared.sources).toEqual({ ...noSources, seq: 3 });
    expect((await bench.upload(cleared.bundle ?? '')).status).toBe(201);
    expect(await resolve()).toMatchObject({ ...noSources, seq: 3, origin: 'targets' });
  });

  it.each([
    ['no JSON', '{'],
    ['an address of another kind', '{"proxy":"ftp://x"}'],
    ['a number, which is not theirs to choose', '{"seq":99}'],
    ['a field that nobody knows', '{"mirrors":[]}'],
  ])('are refused when the file has %s, and nothing is signed', async (_what, text) => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    const { run, told } = sourcesOf(bench);
    const file = join(bench.directory, 'sources.json');
    await writeFile(file, text);
    const refused = await run('set', file);
    expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('(sources-invalid)');
    expect(await told('show')).toEqual({ sources: null });
  });
});
