import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { encodeRecord } from '../../../protocol/record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { launchCount } from '../../../updater/launch/count.ts';
import { quickSeal } from '../../../updater/record/quick-look.ts';
import { knownRecord } from '../../../updater/record/record-store.ts';
import { fileSource } from '../../../updater/release/byte-source.ts';
import { unpackFrame } from '../../../updater/release/frame.ts';
import { openBundle } from '../../../updater/release/open-bundle.ts';
import { readSeal, verifySlot } from '../../../updater/release/verify-slot.ts';
import { ReleaseError } from '../../../updater/trust/release-error.ts';
import { readExample } from '../../protocol/examples.ts';
import { anyBytes, mutatedBytes, mutatedJson } from '../../support/hostile/mutation.ts';
import { treeDigest } from '../../support/hostile/tree-digest.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { idleState, stateIn } from '../support/states.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { fromFile } from './install.ts';

let scene: HostileScene;
let good: Buffer;

beforeAll(async () => {
  scene = await makeHostileScene();
  await scene.install();
  good = readFileSync(join(scene.bundles, '9.0.1.hfb'));
});
afterAll(() => scene[Symbol.dispose]());

/** Only the named error. */
async function refusedOrDone(work: () => Promise<unknown> | unknown): Promise<'refused' | 'done'> {
  try {
    await work();
    return 'done';
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    expect([error.message.length > 10, error.next.length > 10]).toEqual([true, true]);
    return 'refused';
  }
}

describe('a bundle', () => {
  it('becomes the slot that was signed, or is refused by name and changes nothing outside that', async () => {
    const path = join(scene.bundles, 'odd.hfb');
    const outside = () =>
      treeDigest(join(scene.bundles, '..'), ['bundles', 'appliance/updater/work', 'appliance/slots/app/1']);
    const before = outside();
    writeFileSync(path, good);
    const { bundle, manifestDigest: manifest } = await fromFile(scene.layout, path);
    bundle.source.close();
    await fc.assert(
      fc.asyncProperty(anyBytes(good), async (bytes) => {
        writeFileSync(path, bytes);
        const outcome = await refusedOrDone(() => scene.attempt(() => fromFile(scene.layout, path)));
        const slot = verifySlot(realFiles, scene.layout.slot('app', '1'), manifest);
        expect(slot.sound).toBe(outcome === 'done');
        expect(outside()).toBe(before);
        rmSync(scene.layout.slot('app', '1'), { recursive: true, force: true });
        rmSync(scene.layout.work, { recursive: true, force: true });
      }),
      { numRuns: 300 },
    );
  });

  it('is opened or refused by name, whatever its headers say', async () => {
    const path = join(scene.bundles, 'odd-headers.hfb');
    const header = fc.tuple(fc.nat(11), mutatedBytes(good.subarray(0, 512)));
    await fc.assert(
      fc.asyncProperty(header, async ([block, bytes]) => {
        const at = Math.min(block * 512, good.length - 512);
        writeFileSync(path, Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + 512)]));
        const source = fileSource(realFiles, path);
        await refusedOrDone(() => openBundle(source));
        source.close();
      }),
      { numRuns: 300 },
    );
  });
});

describe('a frame of a chunk', () => {
  it('is its bytes or refused by name', async () => {
    const raw = Buffer.from('a chunk of a file\n'.repeat(200));
    const frame = zstdCompressSync(raw);
    await fc.assert(
      fc.asyncProperty(anyBytes(frame), async (bytes) => {
        const chunk = { sha256: sha256(raw), size: raw.length, offset: 0, stored: bytes.length };
        await refusedOrDone(() => expect(unpackFrame(bytes, chunk)).toEqual(raw));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a seal', () => {
  it('is read or passed over, whatever is on the disk, and a slot is never whole with another', () => {
    const slot = scene.layout.slot('app', '0');
    const place = join(slot, '.seal');
    const right = readFileSync(place);
    const odd = mutatedJson(JSON.parse(right.toString('utf8'))).map((value) =>
      Buffer.from(JSON.stringify(value ?? null)),
    );
    fc.assert(
      fc.property(fc.oneof(anyBytes(right), odd), (bytes) => {
        writeFileSync(place, bytes);
        readSeal(realFiles, slot);
        quickSeal(realFiles, slot);
        const verdict = verifySlot(realFiles, slot);
        if (verdict.sound) expect(verdict.seal).toEqual(JSON.parse(right.toString('utf8')));
      }),
      { numRuns: 300 },
    );
    writeFileSync(place, right);
    expect(verifySlot(realFiles, slot).sound).toBe(true);
  });

  it('does not vouch for a manifest with other bytes', () => {
    const slot = scene.layout.slot('app', '0');
    const place = join(slot, '.manifest.json');
    const right = readFileSync(place);
    fc.assert(
      fc.property(anyBytes(right), (bytes) => {
        writeFileSync(place, bytes);
        expect(verifySlot(realFiles, slot).sound).toBe(bytes.equals(right));
      }),
      { numRuns: 200 },
    );
    writeFileSync(place, right);
  });
});

describe('the records', () => {
  it('whatever is on the disk, let launch choose a slot or nothing, and touch nothing else', () => {
    const { layout } = scene;
    mkdirSync(layout.launched, { recursive: true });
    sealedSlot(layout, 'app', 'factory', { version: '0.9.0' });
    const states = [idleState(), stateIn('armed'), stateIn('trial')];
    const record = (body: unknown, seq = 7) => encodeRecord({ seq, schema: 1, body });
    const bodies = fc.oneof(...states.map((state) => mutatedJson(state))).map(fitting);
    const counts = mutatedJson(readExample('launch-body.trial')).map(fitting);
    const files = (body: fc.Arbitrary<unknown>) =>
      fc.oneof(
        body.map((value) => record(value)),
        body.map((value) => record(value, 8)),
        anyBytes(record(states[2])),
      );
    const outside = () => treeDigest(join(scene.bundles, '..'), ['bundles', 'appliance/run', 'appliance/updater']);
    const before = outside();
    fc.assert(
      fc.property(files(bodies), files(bodies), files(counts), files(counts), (...images) => {
        const places = [...layout.stateRecords, ...layout.launchRecords];
        for (const [index, bytes] of images.entries()) writeFileSync(places[index] ?? '', bytes);
        knownRecord(realFiles, layout.stateRecords);
        const outcome = launchCount({ files: realFiles, bootId: () => 'boot', monoMs: () => 0 }, layout, 'app');
        expect(['chosen', 'nothing']).toContain(outcome.outcome);
        expect(outside()).toBe(before);
      }),
      { numRuns: 300 },
    );
  });
});

/** A body that a record can hold; a larger one is never written. */
function fitting(body: unknown): unknown {
  return JSON.stringify(body ?? null).length > 4_000 ? null : (body ?? null);
}
