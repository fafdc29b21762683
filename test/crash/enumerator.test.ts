import crypto from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeRecord } from '../../protocol/record.ts';
import {
  generateKeyPair,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  signBytes,
} from '../../protocol/trust/ed25519.ts';
import { writeNewFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import { readHealth } from '../../updater/watch/agent-health.ts';
import { type DiskState, emptyDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { crashImages, imagesOf, seededNumbers } from './images.ts';
import { answerInProcess } from './in-process-socket.ts';
import { HealthSocket } from './model-agent.ts';
import { rememberKeys } from './remembered-keys.ts';
import { TreeDigests, type View } from './tree-digest.ts';
import { whatCounts } from './what-counts.ts';

/** What the enumerator leaves out, or does not compute again, must change nothing that it finds. */

/** Durable and careless work, as seeded numbers will have it. */
function work(files: Files, seed: number): void {
  const number = seededNumbers(seed);
  const pick = <T>(things: readonly T[]): T | undefined => things[Math.floor(number() * things.length)];
  const paths = ['/a', '/b', '/d/a', '/d/b'];
  files.makeDirectory('/d', 0o700);
  for (let step = 0; step < 40; step += 1) {
    const [path, other] = [pick(paths) ?? '/a', pick(paths) ?? '/b'];
    const isThere = files.stat(path) !== null;
    const kind = pick(['write', 'write', 'sync', 'rename', 'unlink', 'directory', 'directory']);
    if (!isThere) files.create(path, 0o600);
    else if (kind === 'rename') files.rename(path, other);
    else if (kind === 'unlink') files.unlink(path);
    else if (kind === 'directory') files.syncDirectory(pick(['/', '/d']) ?? '/');
    else {
      const handle = files.openWrite(path);
      if (kind === 'write') files.write(handle, Buffer.from(`${step}`.padEnd(number() > 0.7 ? 600 : 3)), 0);
      files.sync(handle);
      if (kind === 'write' && number() > 0.5) files.write(handle, Buffer.from('+'), 0);
    }
  }
}

function momentsOf(seed: number): DiskState[] {
  const moments: DiskState[] = [];
  const files = new DiskFiles(emptyDisk(), (disk) => moments.push(disk));
  work(files, seed);
  return [...moments, files.disk];
}

const seeds = Array.from({ length: 30 }, (_, seed) => seed);

describe('the images of one moment', () => {
  it.each(seeds)('that the moment before could not leave lack nothing in all (%i)', (seed) => {
    const moments = momentsOf(seed);
    const options = { samples: 0, seed: 0 };
    // Where a moment is sampled, all of its samples are made.
    const whole = moments.filter((disk) => crashImages(disk, options).complete);
    expect(whole.length).toBeGreaterThan(10);
    const all = new Set(moments.flatMap((disk) => crashImages(disk, options).images.map(({ digest }) => digest)));
    const digests = new TreeDigests();
    const fresh = moments.flatMap((disk, at) => {
      const since = moments[at - 1];
      const { images } = imagesOf(disk, { ...options, ...(since === undefined ? {} : { since }) });
      return images.map((image) => digests.of(image.disk.seen));
    });
    expect(new Set(fresh)).toEqual(all);
    expect(fresh.length).toBeLessThan(moments.flatMap((disk) => imagesOf(disk, options).images).length);
  });
});

describe('the digest of a tree', () => {
  it.each(seeds)('is the same whatever was looked at before (%i)', (seed) => {
    const digests = new TreeDigests();
    const disks = momentsOf(seed).flatMap((disk) =>
      imagesOf(disk, { samples: 3, seed }).images.map((image) => image.disk),
    );
    for (const disk of [...disks, ...disks.toReversed()])
      expect(digests.of(disk.seen)).toBe(new TreeDigests().of(disk.seen));
  });

  const tree = (...paths: readonly (readonly [string, string])[]) => {
    const files = new DiskFiles();
    files.makeDirectory('/d', 0o700);
    for (const [path, text] of paths) writeNewFile(files, path, Buffer.from(text), 0o600);
    return files;
  };
  const of = (files: DiskFiles, view?: View) => new TreeDigests().of(files.disk.seen, view);

  it('does not know inodes, and knows names, places, contents and kinds', () => {
    const one = tree(['/a', '1'], ['/b', '2']);
    expect(of(tree(['/b', '2'], ['/a', '1']))).toBe(of(one));
    const linked = tree(['/a', '1']);
    linked.link('2', '/b');
    const others = [
      tree(['/a', '2'], ['/b', '1']),
      tree(['/a', '1'], ['/c', '2']),
      tree(['/a', '1'], ['/d/b', '2']),
      tree(['/a', '1']),
      linked,
    ];
    expect(new Set([one, ...others].map((files) => of(files))).size).toBe(others.length + 1);
  });

  const { afterBoot, killed } = whatCounts.decisive;
  const appliance = (paths: Readonly<Record<string, string | Buffer>>) => {
    const files = new DiskFiles();
    for (const path of ['/hf', '/hf/updater', '/hf/run', '/hf/run/launched']) files.makeDirectory(path, 0o700);
    for (const [path, text] of Object.entries(paths)) writeNewFile(files, path, Buffer.from(text), 0o600);
    return files;
  };
  const record = (seq: number, row = 'idle') => encodeRecord({ seq, schema: 1, body: { row } });

  it('leaves out what people are told, where only what decides counts', () => {
    const one = appliance({ '/hf/updater/timeline.jsonl': '{}\n', '/hf/run/status.json': '1' });
    const other = appliance({ '/hf/updater/timeline.jsonl': '{}\n{}\n', '/hf/run/status.json': '2' });
    expect(of(other)).not.toBe(of(one));
    expect(of(other, killed)).toBe(of(one, killed));
    expect(of(appliance({ '/hf/run/status.json': '1' }), killed)).not.toBe(of(one, killed));
  });

  it('tells records by what they say, by which is the newer one, and by whether they are whole', () => {
    const both = (first: Buffer, second: Buffer) =>
      of(appliance({ '/hf/updater/state.0': first, '/hf/updater/state.1': second }), afterBoot);
    const usual = both(record(4), record(5));
    expect(both(record(7), record(8))).toBe(usual);
    const torn = Buffer.concat([record(6).subarray(0, 512), Buffer.alloc(3_584)]);
    const others = [
      both(record(6), record(5)),
      both(record(4, 'armed'), record(5)),
      both(record(4), record(5, 'armed')),
      both(record(4), torn),
    ];
    expect(new Set([usual, ...others]).size).toBe(others.length + 1);
  });
});

it('nothing moves into tmpfs or out of it', () => {
  const files = new DiskFiles(emptyDisk(), undefined, ['run']);
  files.makeDirectory('/run', 0o700);
  writeNewFile(files, '/run/a', Buffer.from('a'), 0o600);
  writeNewFile(files, '/b', Buffer.from('b'), 0o600);
  expect(() => files.rename('/run/a', '/a')).toThrow(/^EXDEV/);
  expect(() => files.rename('/b', '/run/b')).toThrow(/^EXDEV/);
  files.rename('/run/a', '/run/b');
  expect(files.list('/run')).toEqual(['b']);
});

it('an agent in the same thread is read as through a socket', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
  const [real, inProcess] = [join(directory, 'a.sock'), join(directory, 'b.sock')];
  const socket = await HealthSocket.listen(real);
  const health = { proto: 1, nonce: 'a'.repeat(64), version: '1.0.0', progress: 1 } as const;
  const rest = { state: { schema: 1, migrated: true }, checks: {}, server: 'ok', inhibit: null } as const;
  for (const answer of [{ ...health, ...rest }, null]) {
    const text = answer === null ? null : JSON.stringify(answer);
    socket.answer = () => text;
    answerInProcess(inProcess, () => text);
    const reading = await readHealth(inProcess);
    expect(reading).toEqual(await readHealth(real));
    expect(reading.answer === null).toBe(answer === null);
  }
  await socket.close();
  rmSync(directory, { recursive: true });
});

it('a thread that remembers keys and signatures finds what one finds that does not', () => {
  const [one, other] = [generateKeyPair(), generateKeyPair()];
  const bytes = Buffer.from('bytes');
  const signature = signBytes(bytes, one.privateKey);
  const pem = privateKeyToPem(one.privateKey);
  const spki = (key: crypto.KeyObject) => crypto.createPublicKey(key).export({ format: 'der', type: 'spki' });
  const verified = (key: crypto.KeyObject, over: Buffer) =>
    crypto.verify(null, over, crypto.createPublicKey({ key: spki(key), format: 'der', type: 'spki' }), signature);
  rememberKeys();
  for (const _ of ['computed', 'remembered']) {
    expect(verified(one.privateKey, bytes)).toBe(true);
    expect(verified(other.privateKey, bytes)).toBe(false);
    expect(verified(one.privateKey, Buffer.from('other bytes'))).toBe(false);
    expect(signBytes(bytes, privateKeyFromPem(pem))).toEqual(signature);
    expect(signBytes(bytes, other.privateKey)).not.toEqual(signature);
    expect(publicKeyOf(one.privateKey)).toBe(one.publicKey);
    expect(publicKeyOf(other.privateKey)).toBe(other.publicKey);
  }
});
