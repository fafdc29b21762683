import { parseArgs } from 'node:util';
import { z } from 'zod';
import { componentShape } from '../../../protocol/component.ts';
import { digestShape } from '../../../protocol/digest.ts';
import { layoutOf } from '../../../protocol/layout.ts';
import { versionShape } from '../../../protocol/version.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { type Http, makeHttp } from '../../../updater/effects/http.ts';
import type { HttpStream } from '../../../updater/effects/http-request.ts';
import { noDevices } from '../../../updater/release/device-slots.ts';
import { fetchChunks } from '../../../updater/release/fetch-chunks.ts';
import { resolveFromServer } from '../../../updater/release/resolve-release.ts';

/**
 * A process that fetches a release and kills itself with the last byte that it may receive of the bundle; without such a
 * byte it fetches to the end, and prints how many bytes of the bundle it received.
 */
const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    base: { type: 'string' },
    release: { type: 'string' },
    'kill-at': { type: 'string' },
  },
});
const order = z.object({ root: z.string(), base: z.string(), release: z.string() }).parse(values);
const killAt = values['kill-at'] === undefined ? Number.POSITIVE_INFINITY : Number(values['kill-at']);
const layout = layoutOf(order.root);
let received = 0;

function counted(answer: HttpStream): HttpStream {
  async function* body() {
    for await (const piece of answer.body) {
      const left = killAt - received;
      received += Math.min(piece.length, left);
      yield piece.subarray(0, left);
      // What was handed over has been dealt with when the next piece is asked for.
      if (received >= killAt) process.kill(process.pid, 'SIGKILL');
    }
  }
  return { ...answer, body: body() };
}

const real = makeHttp();
const http: Http = {
  ...real,
  stream: (request, consume) =>
    real.stream(request, (answer) => consume(request.url.includes('/bundles/') ? counted(answer) : answer)),
};
const releaseShape = z.object({ component: componentShape, version: versionShape, manifest: digestShape });
const release = releaseShape.parse(JSON.parse(order.release));
const acceptance = {
  floor: { app: 0, updater: 0 },
  isQuarantined: () => false,
  writesOs: false,
  updater: '1.0.0',
  installed: { app: null, updater: null, os: null },
  hardware: null,
};
const resolved = await resolveFromServer({ files: realFiles, layout, http }, order.base, release, acceptance);
const place = { files: realFiles, layout, tx: 1, slot: layout.slot('app', '0'), devices: noDevices };
await fetchChunks(place, resolved.manifest, resolved.bundle);
process.stdout.write(JSON.stringify({ received }));
