import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { refreshMetadata } from '../../../updater/release/refresh-metadata.ts';
import { verifyInstalled } from '../../../updater/release/verify-slot.ts';
import { makeAppliance, makeReleaseFixture, noise } from '../../support/bundle-fixture.ts';
import {
  answerHtml,
  answerOtherRange,
  answerStatus,
  changeHalfWay,
  compress,
  flipByte,
  ignoreRange,
  redirect,
  refuseRange,
  reset,
  sayWrongLength,
  sendWhole,
  sendWithoutEnd,
} from '../../support/lying-server.ts';
import { type Misbehaviour, startReleaseServer } from '../../support/release-server.ts';
import { drip, stallBeforeHead, stallInBody } from '../../support/stalling-server.ts';
import { cutFile, truncateAfter } from '../../support/truncating-server.ts';
import { patienceMs } from '../../support/world/wait.ts';
import { anything, fetchInto, fromServer, http, impatientHttp, setUp, writeInto } from './install.ts';

const bundle = '/bundles/app-1.0.52.hfb';
const timestamp = '/metadata/timestamp.json';

async function scene() {
  const fixture = await makeReleaseFixture();
  const appliance = makeAppliance();
  const release = await fixture.build({ version: '1.0.52', files: { 'main.js': noise('main', 2_000_000) } });
  fixture.publish([release]);
  const server = await startReleaseServer(fixture.servedDir);
  setUp(fixture, appliance.layout);
  return {
    release,
    server,
    layout: appliance.layout,
    bundleBytes: readFileSync(release.path),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      appliance[Symbol.dispose]();
      fixture[Symbol.dispose]();
    },
  };
}

describe('a misbehaving server', () => {
  const cases: readonly (readonly [string, Misbehaviour, string])[] = [
    ['answers 500 for metadata', answerStatus(timestamp, 500), 'http-status'],
    ['has no timestamp', answerStatus(timestamp, 404), 'http-status'],
    ['sends a page for metadata', answerHtml(timestamp, false), 'tuf-malformed'],
    ['sends a page for the next root', answerHtml('/2.root.json', false), 'tuf-malformed'],
    ['never answers', stallBeforeHead(timestamp), 'stalled'],
    ['stalls within metadata', stallInBody(timestamp, 10), 'stalled'],
    ['breaks off within metadata', cutFile(timestamp, 100), 'tuf-malformed'],
    ['compresses metadata', compress(timestamp), 'encoded'],
    ['redirects to another host', redirect(timestamp, 'http://127.0.0.2:1/x'), 'redirect-refused'],
    ['redirects in a circle', redirect(timestamp, '/releases/metadata/timestamp.json'), 'redirect-refused'],
    ['redirects to nowhere', redirect(timestamp, 'http://'), 'redirect-refused'],
    ['answers 503 for the bundle', answerStatus(bundle, 503), 'http-status'],
    ['has no bundle', answerStatus(bundle, 404), 'http-status'],
    ['sends a page for the bundle', answerHtml(bundle, false), 'range-ignored'],
    ['sends a page as a range of the bundle', answerHtml(bundle, true), 'not-a-bundle'],
    ['ignores ranges', ignoreRange(bundle), 'range-ignored'],
    ['sends another range', answerOtherRange(bundle), 'bad-bundle'],
    ['sends a shorter bundle', cutFile(bundle, 700_000), 'truncated'],
    ['stalls within the bundle', stallInBody(bundle, 100), 'stalled'],
    ['breaks off within the bundle', truncateAfter(bundle, 100), 'truncated'],
    ['says a wrong length', sayWrongLength(bundle), 'truncated'],
    ['sends one byte after the other', drip(bundle, 50), 'stalled'],
    ['sends without end', sendWithoutEnd(bundle), 'bad-bundle'],
    ['sends metadata without end', sendWithoutEnd(timestamp), 'too-large'],
    ['refuses the range', refuseRange(bundle), 'http-status'],
    ['resets the connection', reset(bundle, null), 'unreachable'],
    ['resets the connection within the bundle', reset(bundle, 100), 'truncated'],
    [
      'flips a byte in the manifest',
      flipByte(bundle, (bytes) => bytes.indexOf('manifest.json.zst') + 512),
      'bad-bundle',
    ],
  ];

  it.each(cases)('is refused by code when it %s, and works again afterwards', async (_name, misbehaviour, code) => {
    await using scene1 = await scene();
    const { server, layout, release } = scene1;
    server.misbehave(misbehaviour);
    const refused = fromServer(layout, server.base, release, anything, impatientHttp);
    await expect(refused).rejects.toMatchObject({ name: 'ReleaseError', code });
    server.misbehave(null);
    const resolved = await fromServer(layout, server.base, release);
    await fetchInto(layout, resolved);
    expect(writeInto(layout, resolved)).toBe(release.manifest);
  });

  it('that drips is cut off by the bound of the whole exchange', async () => {
    await using scene1 = await scene();
    scene1.server.misbehave(drip(timestamp, 20));
    const url = `${scene1.server.base}/metadata/timestamp.json`;
    await expect(http.fetch({ url, totalMs: 200 }, 100_000)).rejects.toMatchObject({ code: 'timed-out' });
  });

  it('that sends without end is cut off by the bound of bytes', async () => {
    await using scene1 = await scene();
    const url = `${scene1.server.base}${bundle}`;
    await expect(http.fetch({ url, totalMs: patienceMs }, 1_000)).rejects.toMatchObject({ code: 'too-large' });
  });

  it('is followed when it redirects within its own origin', async () => {
    await using scene1 = await scene();
    const { server, layout } = scene1;
    server.misbehave((request, response, file) => {
      if (!file.path.endsWith(timestamp) || request.url?.includes('?')) return false;
      response.writeHead(307, { location: `${file.path}?again` }).end();
      return true;
    });
    const trusted = await refreshMetadata({ files: realFiles, layout }, http, server.base);
    expect(trusted.timestamp?.version).toBe(1);
  });

  it('that is gone is reported as unreachable', async () => {
    await using scene1 = await scene();
    const { base } = scene1.server;
    await scene1.server[Symbol.asyncDispose]();
    await expect(fromServer(scene1.layout, base, scene1.release)).rejects.toMatchObject({ code: 'unreachable' });
    scene1.server[Symbol.asyncDispose] = async () => undefined;
  });

  it('that changes the file half way is found out, and what was verified is kept', async () => {
    await using scene1 = await scene();
    const { server, layout, release } = scene1;
    server.misbehave(changeHalfWay(bundle));
    const resolved = await fromServer(layout, server.base, release);
    await expect(fetchInto(layout, resolved)).rejects.toMatchObject({ name: 'ReleaseError', code: 'bad-chunk' });
    server.misbehave(null);
    await fetchInto(layout, resolved);
    writeInto(layout, resolved);
    expect(verifyInstalled(realFiles, layout, 'app', '0', release.manifest).sound).toBe(true);
  });

  it('that sends the whole file where a part was asked for is used all the same', async () => {
    await using scene1 = await scene();
    const { server, layout, release } = scene1;
    server.misbehave(sendWhole(bundle));
    const resolved = await fromServer(layout, server.base, release);
    await fetchInto(layout, resolved);
    writeInto(layout, resolved);
    expect(verifyInstalled(realFiles, layout, 'app', '0', release.manifest).sound).toBe(true);
    // One long look instead of many: the file came twice at the most.
    expect(server.requests.filter((line) => line.includes(bundle)).length).toBeLessThan(5);
  });

  it('that flips a byte in a chunk is found out at that chunk, and the rest is kept', async () => {
    await using scene1 = await scene();
    const { server, layout, release, bundleBytes } = scene1;
    const resolved = await fromServer(layout, server.base, release);
    const sent = server.bytesSent('bundles/app-1.0.52.hfb');
    server.misbehave(flipByte(bundle, bundleBytes.length - 100_000));
    await expect(fetchInto(layout, resolved)).rejects.toMatchObject({ code: 'bad-chunk' });
    server.misbehave(null);
    const before = server.bytesSent('bundles/app-1.0.52.hfb');
    expect(before).toBeGreaterThan(sent);
    const again = await fetchInto(layout, resolved);
    expect(again.reusedBytes).toBeGreaterThan(1_000_000);
    expect(writeInto(layout, resolved)).toBe(release.manifest);
  });

  it.each([0.1, 0.35, 0.6, 0.9])(
    'that breaks off at %f of the chunks costs at most one chunk, fetched again',
    async (part) => {
      await using scene1 = await scene();
      const { server, layout, release } = scene1;
      const resolved = await fromServer(layout, server.base, release);
      const total = resolved.bundle.chunks.size;
      const arrived = Math.floor(total * part);
      server.misbehave(truncateAfter(bundle, arrived));
      await expect(fetchInto(layout, resolved)).rejects.toMatchObject({ code: 'truncated' });
      server.misbehave(null);
      const again = await fetchInto(layout, resolved);
      const largest = Math.max(...resolved.manifest.chunks.map(({ stored }) => stored));
      expect(again.fetchedBytes + arrived - total).toBeLessThanOrEqual(largest);
    },
  );

  it('cannot offer what is quarantined, below the floor, or for another updater', async () => {
    await using scene1 = await scene();
    const { server, layout, release } = scene1;
    const refused = (acceptance: Partial<typeof anything>) =>
      expect(fromServer(layout, server.base, release, { ...anything, ...acceptance })).rejects;
    await refused({ isQuarantined: (digest) => digest === release.manifest }).toMatchObject({ code: 'quarantined' });
    await refused({ floor: { app: 1, updater: 0 } }).toMatchObject({ code: 'floor' });
    const named = { ...release, manifest: release.manifest.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) };
    await expect(fromServer(layout, server.base, named)).rejects.toMatchObject({ code: 'wrong-manifest' });
  });
});
