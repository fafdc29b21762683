import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { Simulator, setVersion, signed, signer } from './simulator.ts';

/** The command as the conformance suite calls it, against a repository that knows nothing of our code. */
const command = join(checkout, 'updater', 'tuf', 'main.ts');
let directory: string;
let repository: Simulator;
let url = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-tuf-'));
});
afterEach(async () => {
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

async function open(made: Simulator): Promise<void> {
  repository = made;
  url = await made.listen();
  writeFileSync(join(directory, 'initial.json'), made.roots[0] ?? '');
  expect(await run('init', join(directory, 'initial.json'))).toBe(0);
}

async function run(...words: string[]): Promise<number> {
  const args = ['--metadata-dir', join(directory, 'metadata'), '--metadata-url', `${url}/metadata`];
  const result = await execa(nodeBinary, [command, ...args, ...words], { reject: false });
  expect(result.stdout).toBe('');
  return result.exitCode ?? -1;
}
const refresh = () => run('refresh');
const download = (...names: string[]) =>
  run(
    ...names.flatMap((name) => ['--target-name', name]),
    ...['--target-base-url', `${url}/targets`, '--target-dir', directory, 'download'],
  );
const stored = () =>
  Object.fromEntries(
    readdirSync(join(directory, 'metadata'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => [
        name,
        JSON.parse(readFileSync(join(directory, 'metadata', name), 'utf8')).signed.version as number,
      ]),
  );

describe('the command', () => {
  it('stores each role by its name, as it was sent, and nothing else that looks like one', async () => {
    await open(new Simulator());
    expect(stored()).toEqual({ 'root.json': 1 });
    expect(await refresh()).toBe(0);
    expect(stored()).toEqual({ 'root.json': 1, 'timestamp.json': 1, 'snapshot.json': 1, 'targets.json': 1 });
    const bytes = readFileSync(join(directory, 'metadata', 'snapshot.json'));
    expect(bytes.equals(signed(repository.snapshot, repository.signersOf('snapshot')))).toBe(true);
  });

  it('asks for nothing that it has: a second refresh looks for a root and the timestamp', async () => {
    await open(new Simulator());
    await refresh();
    repository.requests.length = 0;
    expect(await refresh()).toBe(0);
    expect(repository.requests).toEqual(['/metadata/2.root.json', '/metadata/timestamp.json']);
  });

  it('says what is wrong with its words and does nothing', async () => {
    await open(new Simulator());
    expect(await run('nothing')).toBe(1);
    expect(await run('init', join(directory, 'is-not-there'))).toBe(1);
  });

  it.each(['rsa', 'ecdsa', 'ed25519'] as const)('verifies keys of kind %s in every role', async (kind) => {
    await open(new Simulator({ root: kind, timestamp: kind, snapshot: kind, targets: kind }));
    expect(await refresh()).toBe(0);
    repository.signers.targets = [signer(kind)];
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await refresh()).toBe(1);
  });

  it('works without consistent snapshots', async () => {
    await open(new Simulator({}, false));
    const bytes = Buffer.from('a file');
    repository.addFile('targets', 'file.txt', bytes);
    repository.files.set('file.txt', bytes);
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await download('file.txt')).toBe(0);
    expect(repository.requests).toContain('/metadata/snapshot.json');
    expect(repository.requests).toContain('/targets/file.txt');
  });
});

describe('a root', () => {
  it('is walked to the newest, with the keys of every role replaced on the way', async () => {
    await open(new Simulator());
    await refresh();
    for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) {
      const old = repository.replaceKey(role);
      setVersion(repository.root, repository.root.version + 1);
      repository.publishRoot(role === 'root' ? [old] : []);
    }
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await refresh()).toBe(0);
    expect(stored()).toMatchObject({ 'root.json': 5, 'targets.json': 2 });
  });

  it.each([
    ['that the old keys did not sign', () => [] as const, 2],
    ['of a version that is left out', (old: ReturnType<typeof signer>) => [old] as const, 3],
  ])('%s is refused, and the one before stays', async (_what, others, version) => {
    await open(new Simulator());
    const old = repository.replaceKey('root');
    setVersion(repository.root, version);
    repository.publishRoot(others(old));
    expect(await refresh()).toBe(1);
    expect(stored()).toEqual({ 'root.json': 1 });
  });

  it('that has expired ends the refresh, after it was stored', async () => {
    await open(new Simulator());
    const expired = repository.root.toJSON() as { expires: string };
    const past = { ...expired, expires: '2020-01-01T00:00:00Z', version: 2 };
    const { Root } = await import('@tufjs/models');
    repository.roots.push(signed(Root.fromJSON(past), repository.signersOf('root')));
    expect(await refresh()).toBe(1);
    expect(stored()).toEqual({ 'root.json': 2 });
  });

  it('with one key under two ids counts it once', async () => {
    const made = new Simulator();
    const [only] = made.signersOf('timestamp');
    if (only === undefined) throw new Error('no key');
    const { Key, Signature } = await import('@tufjs/models');
    const twin = new Key({ ...only.key, keyID: 'ff'.repeat(32) });
    made.root.addKey(twin, 'timestamp');
    const role = made.root.roles.timestamp;
    if (role !== undefined) (role as { threshold: number }).threshold = 2;
    made.signers.timestamp = [
      only,
      { key: twin, sign: (bytes) => new Signature({ keyID: twin.keyID, sig: only.sign(bytes).sig }) },
    ];
    made.roots.length = 0;
    made.publishRoot();
    await open(made);
    expect(await refresh()).toBe(1);
    expect(stored()).toEqual({ 'root.json': 1 });
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
    expect(await refresh()).toBe(0);
    attack(repository);
    expect(await refresh()).toBe(1);
    expect(stored()).toMatchObject(kept);
    repository.override = null;
  });

  it('who pushed versions far ahead is overcome by new keys', async () => {
    await open(new Simulator());
    setVersion(repository.timestamp, 1_000_000);
    setVersion(repository.snapshot, 999_998);
    repository.update();
    setVersion(repository.timestamp, 1_000_000);
    expect(await refresh()).toBe(0);
    for (const role of ['timestamp', 'snapshot'] as const) {
      repository.replaceKey(role);
    }
    setVersion(repository.root, repository.root.version + 1);
    repository.publishRoot();
    setVersion(repository.timestamp, 1);
    setVersion(repository.snapshot, 0);
    repository.update();
    expect(await refresh()).toBe(0);
    expect(stored()).toMatchObject({ 'snapshot.json': 1, 'timestamp.json': 2 });
  });
});

describe('a target', () => {
  const content = Buffer.from('what is wanted');

  it('is downloaded, verified, and kept by its encoded name', async () => {
    await open(new Simulator());
    repository.addFile('targets', 'dir/file one.txt', content);
    repository.files.set([...repository.files.keys()][0]?.replace(/^([0-9a-f]+)\.dir\//, 'dir/$1.') ?? '', content);
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await download('dir/file one.txt')).toBe(0);
    expect(readFileSync(join(directory, encodeURIComponent('dir/file one.txt')))).toEqual(content);
  });

  it('that was changed is not kept', async () => {
    await open(new Simulator());
    repository.addFile('targets', 'file', content);
    for (const name of repository.files.keys()) repository.files.set(name, Buffer.from('what is wanteD'));
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await download('file')).toBe(1);
    expect(existsSync(join(directory, 'file'))).toBe(false);
  });

  it('is found in delegated roles, depth first, whatever they are called', async () => {
    await open(new Simulator());
    for (const [from, role] of [
      ['targets', 'a'],
      ['targets', '../b'],
      ['a', 'c?#'],
      ['c?#', '1'],
    ] as const) {
      repository.delegate(from, role, ['*']);
    }
    repository.addFile('1', 'deep', content);
    repository.addFile('../b', 'deep', Buffer.from('the sibling has no say'));
    repository.update();
    repository.requests.length = 0;
    expect(await download('deep')).toBe(0);
    expect(readFileSync(join(directory, 'deep'))).toEqual(content);
    expect(repository.requests.filter((path) => /1\.(a|c|1|\.\.)/.test(path))).toHaveLength(3);
    expect(Object.keys(stored())).toContain('c%3F%23.json');
    expect(existsSync(join(directory, 'b.json'))).toBe(false);
  });

  it('is not looked for behind a role that ends the search', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'first', ['*'], true);
    repository.delegate('targets', 'second', ['*']);
    repository.addFile('second', 'file', content);
    repository.update();
    expect(await download('file')).toBe(1);
  });

  it('is looked for in a bounded number of roles, and never twice in one', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'r0', ['*']);
    for (let i = 1; i < 40; i += 1) repository.delegate(`r${i - 1}`, `r${i}`, ['*']);
    repository.delegate('r39', 'r0', ['*']);
    repository.addFile('r39', 'file', content);
    repository.update();
    expect(await download('file')).toBe(1);
    expect(repository.requests.filter((path) => /\.r\d+\.json$/.test(path)).length).toBeLessThan(33);
  });

  it('of a role that its delegator did not vouch for is not believed', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'role', ['*']);
    repository.signers.role = [signer()];
    repository.addFile('role', 'file', content);
    repository.update();
    expect(await download('file')).toBe(1);
    expect(stored()).not.toHaveProperty('role.json');
  });
});
