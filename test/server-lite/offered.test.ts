import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../protocol/digest.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { verifySlot } from '../../updater/release/verify-slot.ts';
import { installFirstRoot } from '../../updater/trust/trust-store.ts';
import { makeAppliance } from '../support/bundle-fixture.ts';
import { TestServer } from '../support/test-server.ts';
import { fetchInto, fromServer, writeInto } from '../updater/release/install.ts';

/** An appliance that trusts this server's first root, and what the server's signed answer tells it to fetch. */
async function offered() {
  const bench = await TestServer.start();
  const manifest = await bench.publish('1.0.52');
  const client = await bench.appliance('alpha');
  await client.checkIn('updater');
  await bench.rollOut('1.0.52', ['alpha']);
  const { desired } = await client.checkIn('updater');
  const appliance = makeAppliance();
  const root = readFileSync(join(bench.data, 'releases', 'metadata', '1.root.json'));
  installFirstRoot({ files: realFiles, layout: appliance.layout }, root, sha256(root));
  return { bench, desired, manifest, layout: appliance.layout, base: `${bench.url}${desired?.path ?? '/nowhere'}` };
}
const built = (manifest: string) => ({ component: 'app', version: '1.0.52', path: '', manifest }) as const;

describe('what the server offers', () => {
  it('S10, S33: can be fetched where its answer says, all of it, and becomes a sound slot', async () => {
    const { bench, desired, manifest, layout, base } = await offered();
    await using _ = bench;
    expect(desired?.release).toEqual({ component: 'app', version: '1.0.52', manifest });
    const resolved = await fromServer(layout, base, built(manifest));
    await fetchInto(layout, resolved);
    writeInto(layout, resolved);
    resolved.bundle.source.close();
    expect(verifySlot(realFiles, layout.slot('app', '0'), manifest).sound).toBe(true);
  });

  it('S10: is refused by an appliance as soon as one byte of it is another', async () => {
    const { bench, manifest, layout, base } = await offered();
    await using _ = bench;
    const path = join(bench.data, 'releases', 'bundles', 'app-1.0.52.hfb');
    const whole = readFileSync(path);
    for (const part of [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999]) {
      const bytes = Buffer.from(whole);
      const position = Math.floor(part * bytes.length);
      bytes.writeUInt8(bytes.readUInt8(position) ^ 1, position);
      writeFileSync(path, bytes);
      const fetched = fromServer(layout, base, built(manifest)).then((release) => fetchInto(layout, release));
      await expect(fetched, `byte ${position} of ${bytes.length}`).rejects.toMatchObject({ name: 'ReleaseError' });
    }
  });

  it('S33: that is gone from the server is a named failure for the appliance, not a success', async () => {
    const { bench, manifest, layout, base } = await offered();
    await using _ = bench;
    rmSync(join(bench.data, 'releases', 'bundles', 'app-1.0.52.hfb'));
    await expect(fromServer(layout, base, built(manifest))).rejects.toMatchObject({ code: 'http-status' });
  });
});
