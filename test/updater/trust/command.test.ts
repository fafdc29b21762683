import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from './client.ts';
import { kinds, Simulator, setVersion, signed, signer } from './simulator.ts';

let client: Client;
let repository: Simulator;

afterEach(() => client.end());

async function open(made: Simulator): Promise<void> {
  repository = made;
  client = new Client(made);
  expect(await client.init()).toBe(0);
}

describe('the command', () => {
  it('stores each role by its name, as it was sent, and nothing else that looks like one', async () => {
    await open(new Simulator());
    expect(client.stored()).toEqual({ 'root.json': 1 });
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toEqual({ 'root.json': 1, 'timestamp.json': 1, 'snapshot.json': 1, 'targets.json': 1 });
    const bytes = readFileSync(join(client.directory, 'metadata', 'snapshot.json'));
    expect(bytes.equals(signed(repository.snapshot, repository.signersOf('snapshot')))).toBe(true);
  });

  it('asks for nothing that it has: a second refresh looks for a root and the timestamp', async () => {
    await open(new Simulator());
    await client.refresh();
    repository.requests.length = 0;
    expect(await client.refresh()).toBe(0);
    expect(repository.requests).toEqual(['/metadata/2.root.json', '/metadata/timestamp.json']);
  });

  it('says what is wrong with its words and does nothing', async () => {
    await open(new Simulator());
    expect(await client.run('nothing')).toBe(2);
    expect(await client.run('init', join(client.directory, 'is-not-there'))).toBe(1);
  });

  it.each(kinds)('verifies keys of kind %s in every role', async (kind) => {
    await open(new Simulator({ root: kind, timestamp: kind, snapshot: kind, targets: kind }));
    expect(await client.refresh()).toBe(0);
    repository.signers.targets = [signer(kind)];
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.refresh()).toBe(1);
  });

  it('works without consistent snapshots', async () => {
    await open(new Simulator({}, false));
    const bytes = Buffer.from('a file');
    repository.addFile('targets', 'file.txt', bytes);
    repository.files.set('file.txt', bytes);
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.download('file.txt')).toBe(0);
    expect(repository.requests).toContain('/metadata/snapshot.json');
    expect(repository.requests).toContain('/targets/file.txt');
  });
});

describe('the command in a process of its own', () => {
  it('begins, refreshes and downloads with status 0, and writes nothing', async () => {
    await open(new Simulator());
    const bytes = Buffer.from('a file');
    repository.addFile('targets', 'file.txt', bytes);
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    rmSync(join(client.directory, 'metadata'), { recursive: true });
    const nothing = { status: 0, stdout: '', stderr: '' };
    expect(await client.runAsProcess('init', join(client.directory, 'initial.json'))).toEqual(nothing);
    expect(client.stored()).toEqual({ 'root.json': 1 });
    expect(await client.runAsProcess(...client.wordsOfDownload(['file.txt']))).toEqual(nothing);
    expect(readFileSync(join(client.directory, 'file.txt')).equals(bytes)).toBe(true);
  });

  it('ends with status 1 and a sentence where a repository is refused', async () => {
    await open(new Simulator());
    repository.override = (path) => (path.endsWith('timestamp.json') ? Buffer.from('{}') : undefined);
    const { status, stdout, stderr } = await client.runAsProcess('refresh');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).not.toMatch(/^$|^\s+at /m);
  });

  it('ends with status 2 and its words where they are wrong', async () => {
    await open(new Simulator());
    const { status, stdout, stderr } = await client.runAsProcess('nothing');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('name one of: init ROOT, refresh, download');
  });
});

describe('a root', () => {
  it('is walked to the newest, with the keys of every role replaced on the way', async () => {
    await open(new Simulator());
    await client.refresh();
    for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) {
      const old = repository.replaceKey(role);
      setVersion(repository.root, repository.root.version + 1);
      repository.publishRoot(role === 'root' ? [old] : []);
    }
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.refresh()).toBe(0);
    expect(client.stored()).toMatchObject({ 'root.json': 5, 'targets.json': 2 });
  });

  it.each([
    ['that the old keys did not sign', () => [] as const, 2],
    ['of a version that is left out', (old: ReturnType<typeof signer>) => [old] as const, 3],
  ])('%s is refused, and the one before stays', async (_what, others, version) => {
    await open(new Simulator());
    const old = repository.replaceKey('root');
    setVersion(repository.root, version);
    repository.publishRoot(others(old));
    expect(await client.refresh()).toBe(1);
    expect(client.stored()).toEqual({ 'root.json': 1 });
  });

  it('that has expired ends the refresh, after it was stored', async () => {
    await open(new Simulator());
    const expired = repository.root.toJSON() as { expires: string };
    const past = { ...expired, expires: '2020-01-01T00:00:00Z', version: 2 };
    const { Root } = await import('@tufjs/models');
    repository.roots.push(signed(Root.fromJSON(past), repository.signersOf('root')));
    expect(await client.refresh()).toBe(1);
    expect(client.stored()).toEqual({ 'root.json': 2 });
  });
});

describe('an attacker', () => {
  const cases: readonly (readonly [string, (simulator: Simulator) => void, object])[] = [
    ['rolls the timestamp back', (it) => setVersion(it.timestamp, 1), { 'timestamp.json': 2 }],
    [
      'rolls the snapshot back',
      (it) => {
        setVersion(it.timestamp, 9);
        setVersion(it.timestamp.snapshotMeta, 1);
      },
      { 'timestamp.json': 2, 'snapshot.json': 2 },
    ],
    [
      'rolls the targets back',
      (it) => {
        setVersion(it.targets, 1);
        it.update();
      },
      { 'targets.json': 2, 'snapshot.json': 2 },
    ],
    [
      'takes the targets out of the snapshot',
      (it) => {
        it.update();
        delete it.snapshot.meta['targets.json'];
      },
      { 'targets.json': 2, 'snapshot.json': 2 },
    ],
    [
      'mixes a snapshot of another version in',
      (it) => {
        it.update();
        it.override = (path) => (path.endsWith('.snapshot.json') ? Buffer.from('{}') : undefined);
      },
      { 'targets.json': 2, 'snapshot.json': 2 },
    ],
    [
      'sends data without end as the timestamp',
      (it) => {
        it.override = (path) => (path.endsWith('timestamp.json') ? Buffer.alloc(5_000_000, ' ') : undefined);
      },
      { 'timestamp.json': 2 },
    ],
    [
      'sends one role in the place of another',
      (it) => {
        it.update();
        it.override = (path) =>
          path.endsWith('timestamp.json') ? signed(it.snapshot, it.signersOf('timestamp')) : undefined;
      },
      { 'timestamp.json': 2 },
    ],
    [
      'keeps the timestamp away',
      (it) => (it.override = (path) => (path.endsWith('timestamp.json') ? null : undefined)),
      {},
    ],
  ];

  it.each(cases)('that %s gets nowhere, and what was trusted stays', async (_what, attack, kept) => {
    await open(new Simulator());
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.refresh()).toBe(0);
    attack(repository);
    expect(await client.refresh()).toBe(1);
    expect(client.stored()).toMatchObject(kept);
    repository.override = null;
  });
});
