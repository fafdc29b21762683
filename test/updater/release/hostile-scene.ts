import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import type { ResolvedRelease } from '../../../updater/release/resolve-release.ts';
import { looksSealed, verifySlot } from '../../../updater/release/verify-slot.ts';
import { ReleaseError, type ReleaseErrorCode } from '../../../updater/trust/release-error.ts';
import { makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { cpuStopwatch } from '../../support/cpu-time.ts';
import { type BundleParts, sampleRelease, signedParts, writeBundle } from '../../support/hostile/sample.ts';
import { treeDigest } from '../../support/hostile/tree-digest.ts';
import { fetchInto, fromFile, setUp, writeInto } from './install.ts';

/** Longest that an appliance may be busy with one hostile bundle here; the processors of a site are slower. */
const busyMsMax = 3_000;

/** An appliance with one release installed, a neighbour that nobody may touch, and somebody who signs anything. */
export interface HostileScene extends Disposable {
  readonly fixture: ReleaseFixture;
  readonly layout: Layout;
  /** For bundles. */
  readonly bundles: string;
  /** Signs whatever claims to be a manifest of `version`. */
  sign(version: string, manifest: Buffer, chunks: Buffer): Promise<BundleParts>;
  /** Called once, when everything is signed: the appliance then knows the newest targets, and has a release. */
  install(): Promise<void>;
  /** From `resolve` to a sealed slot 1. */
  attempt(resolve: () => Promise<ResolvedRelease>): Promise<void>;
  /**
   * Tries to install, expects the code, and proves that it was quick, that nothing outside of work/ and the slot was made,
   * changed or removed, and that the next good release installs.
   */
  expectRefused(code: ReleaseErrorCode, resolve: () => Promise<ResolvedRelease>): Promise<ReleaseError>;
}

async function refusalOf(work: () => Promise<void>): Promise<ReleaseError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ReleaseError) return error;
    throw error;
  }
  throw new Error('it was installed');
}

export async function makeHostileScene(): Promise<HostileScene> {
  const fixture = await makeReleaseFixture();
  const world = mkdtempSync(join(tmpdir(), 'holdfast-hostile-'));
  const layout = layoutOf(join(world, 'appliance'));
  const bundles = join(world, 'bundles');
  for (const path of [layout.updater, layout.slots, layout.runtimes, bundles]) mkdirSync(path, { recursive: true });
  writeFileSync(join(world, 'neighbour'), 'untouched');
  const state = (): string => treeDigest(world, ['bundles', 'appliance/updater/work', 'appliance/slots/app/1']);
  const sign = (version: string, manifest: Buffer, chunks: Buffer) =>
    signedParts(fixture.repository, version, manifest, chunks);
  const good = async (version: string): Promise<string> => {
    const { manifest, chunks } = sampleRelease(version);
    return writeBundle(bundles, version, await sign(version, Buffer.from(JSON.stringify(manifest)), chunks));
  };
  const into = async (slot: '0' | '1', resolve: () => Promise<ResolvedRelease>): Promise<void> => {
    const resolved = await resolve();
    try {
      await fetchInto(layout, resolved, slot, 2);
      writeInto(layout, resolved, slot, 2);
    } finally {
      resolved.bundle.source.close();
    }
  };
  const clear = (): void => {
    rmSync(layout.slot('app', '1'), { recursive: true, force: true });
    rmSync(layout.work, { recursive: true, force: true });
  };
  return {
    fixture,
    layout,
    bundles,
    sign,
    install: async () => {
      await good('9.0.1');
      const first = await good('9.0.0');
      setUp(fixture, layout);
      await into('0', () => fromFile(layout, first));
      clear();
    },
    attempt: (resolve) => into('1', resolve),
    expectRefused: async (code, resolve) => {
      clear();
      const before = state();
      const busyMs = cpuStopwatch();
      const error = await refusalOf(() => into('1', resolve));
      expect(busyMs()).toBeLessThan(busyMsMax);
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(/^.{20,900}$/)]);
      expect(error.next).toMatch(/^[A-Z].{20,}\.$/);
      expect(looksSealed(realFiles, layout.slot('app', '1')).sound).toBe(false);
      expect(state()).toBe(before);
      await into('1', () => fromFile(layout, join(bundles, '9.0.1.hfb')));
      expect(verifySlot(realFiles, layout.slot('app', '1')).sound).toBe(true);
      clear();
      return error;
    },
    [Symbol.dispose]: () => {
      rmSync(world, { recursive: true, force: true });
      fixture[Symbol.dispose]();
    },
  };
}
