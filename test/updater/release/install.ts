import type { Digest } from '../../../protocol/digest.ts';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { noDevices } from '../../../updater/release/device-slots.ts';
import { fetchChunks } from '../../../updater/release/fetch-chunks.ts';
import type { Acceptance } from '../../../updater/release/require-acceptable.ts';
import { type ResolvedRelease, resolveFromFile, resolveFromServer } from '../../../updater/release/resolve-release.ts';
import { sealSlot, writeSlot } from '../../../updater/release/write-slot.ts';
import { installFirstRoot } from '../../../updater/trust/trust-store.ts';
import type { BuiltRelease, ReleaseFixture } from '../../support/bundle-fixture.ts';
import { patienceMs } from '../../support/world/wait.ts';

/** An appliance that takes anything that is signed. */
export const anything: Acceptance = {
  floor: { app: 0, updater: 0 },
  isQuarantined: () => false,
  writesOs: false,
  updater: '1.0.0',
  installed: { app: null, updater: null, os: null },
  hardware: null,
};

/** With so much time that only a server that never answers uses it up: server and client share one busy process here. */
export const http = makeHttp({ connectMs: patienceMs, stallMs: patienceMs, slowWindowMs: patienceMs });

/** For servers that keep somebody waiting: times that a test can wait for. */
export const impatientHttp = makeHttp({ connectMs: 2_000, stallMs: 1_500, slowWindowMs: 1_000, slowBytesMin: 1_000 });

export function setUp(fixture: ReleaseFixture, layout: Layout): void {
  installFirstRoot({ files: realFiles, layout }, fixture.root, sha256(fixture.root));
}

export function fromServer(layout: Layout, base: string, release: BuiltRelease, acceptance = anything, over = http) {
  return resolveFromServer({ files: realFiles, layout, http: over }, base, release, acceptance);
}

export function fromFile(layout: Layout, path: string, acceptance = anything) {
  return resolveFromFile({ files: realFiles, layout }, path, acceptance);
}

export function fetchInto(layout: Layout, resolved: ResolvedRelease, slot: '0' | '1' = '0', tx = 1) {
  const directory = layout.slot(resolved.manifest.component, slot);
  return fetchChunks(
    { files: realFiles, layout, tx, slot: directory, devices: noDevices },
    resolved.manifest,
    resolved.bundle,
  );
}

export function writeInto(
  layout: Layout,
  resolved: Pick<ResolvedRelease, 'manifest' | 'manifestBytes'>,
  slot: '0' | '1' = '0',
  tx = 1,
  files: Files = realFiles,
): Digest {
  const { manifest, manifestBytes } = resolved;
  const order = { files, layout, tx, slot, manifest, manifestBytes, devices: noDevices, bundle: null };
  writeSlot(order);
  return sealSlot(order);
}

/** From a file to a sealed slot. */
export async function installFile(
  layout: Layout,
  path: string,
  slot: '0' | '1' = '0',
  tx = 1,
): Promise<ResolvedRelease> {
  const resolved = await fromFile(layout, path);
  try {
    await fetchInto(layout, resolved, slot, tx);
    writeInto(layout, resolved, slot, tx);
    return resolved;
  } finally {
    resolved.bundle.source.close();
  }
}
