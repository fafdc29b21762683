import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../../protocol/digest.ts';
import { layoutOf } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { type Http, makeHttp } from '../../../updater/effects/http.ts';
import { deviceSlotsOf } from '../../../updater/release/device-slots.ts';
import { fetchChunks } from '../../../updater/release/fetch-chunks.ts';
import { keepManifest, resolveFromFile, resolveFromServer } from '../../../updater/release/resolve-release.ts';
import { verifyDeviceSlot, verifyInstalled } from '../../../updater/release/verify-slot.ts';
import { sealSlot, writeSlot } from '../../../updater/release/write-slot.ts';
import { installFirstRoot } from '../../../updater/trust/trust-store.ts';

/**
 * One appliance, as a process of its own: the earlier release is installed from its file, then the later one is fetched
 * from a server and written. Says what travelled, how long it took, and how much memory that needed.
 */
const orderShape = z.object({
  root: z.string(),
  trustRoot: z.string(),
  before: z.string(),
  after: z.object({ component: z.enum(['app', 'os']), version: z.string(), manifest: z.string() }),
  base: z.string(),
  deviceBytes: z.number(),
  /** Only the earlier release, so that the memory of the later one is measured alone. */
  step: z.enum(['before', 'after']),
});
const order = orderShape.parse(JSON.parse(process.argv[2] ?? ''));
const layout = layoutOf(order.root);
const os = { slots: { '0': join(order.root, 'device-0'), '1': join(order.root, 'device-1') }, running: '0' } as const;
const devices = deviceSlotsOf(layout, os);
const acceptance = {
  floor: { app: 0, updater: 0 },
  isQuarantined: () => false,
  writesOs: true,
  updater: '1.0.0',
  installed: { app: null, updater: null, os: null },
  hardware: null,
};

let travelled = 0;
function counting(http: Http): Http {
  async function* counted(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const part of body) {
      travelled += part.length;
      yield part;
    }
  }
  return {
    fetch: async (request, bytesMax) => {
      const answer = await http.fetch(request, bytesMax);
      travelled += answer.body.length;
      return answer;
    },
    stream: (request, consume) => http.stream(request, (answer) => consume({ ...answer, body: counted(answer.body) })),
  };
}

async function installBefore(): Promise<void> {
  for (const path of [layout.updater, layout.slots, layout.runtimes]) mkdirSync(path, { recursive: true });
  for (const device of Object.values(os.slots)) {
    writeFileSync(device, '');
    truncateSync(device, order.deviceBytes);
  }
  const root = readFileSync(order.trustRoot);
  installFirstRoot({ files: realFiles, layout }, root, sha256(root));
  const { manifest, manifestBytes, bundle } = await resolveFromFile(
    { files: realFiles, layout },
    order.before,
    acceptance,
  );
  const slot = { files: realFiles, layout, tx: 1, slot: '0', manifest, manifestBytes, devices, bundle } as const;
  writeSlot(slot);
  sealSlot(slot);
  bundle.source.close();
}

async function updateToAfter() {
  const startedMs = performance.now();
  const place = { files: realFiles, layout, http: counting(makeHttp()) };
  const resolved = await resolveFromServer(place, order.base, order.after, acceptance);
  const { manifest, manifestBytes, bundle } = resolved;
  keepManifest(place, 2, manifestBytes);
  const directory = layout.slot(order.after.component, '1');
  await fetchChunks({ files: realFiles, layout, tx: 2, slot: directory, devices }, manifest, bundle);
  const fetchedMs = performance.now();
  const slot = { files: realFiles, layout, tx: 2, slot: '1', manifest, manifestBytes, devices, bundle: null } as const;
  writeSlot(slot);
  sealSlot(slot);
  const verdict =
    order.after.component === 'os'
      ? verifyDeviceSlot(realFiles, directory, os.slots['1'], resolved.manifestDigest)
      : verifyInstalled(realFiles, layout, 'app', '1', resolved.manifestDigest);
  if (!verdict.sound) throw new Error(`what was applied is not whole: ${verdict.reason} at ${verdict.path}`);
  return { travelled, fetchS: (fetchedMs - startedMs) / 1000, applyS: (performance.now() - fetchedMs) / 1000 };
}

if (order.step === 'before') await installBefore();
else {
  const figures = await updateToAfter();
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  process.stdout.write(JSON.stringify({ ...figures, peakMb: (Number(peak) * 1024) / 1e6 }));
}
