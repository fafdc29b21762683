import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations } from '../../agent/migrations.ts';
import { emitProgram } from '../../image/emit.ts';
import { patchedSource } from '../../image/patch.ts';
import { type FrozenState, readFrozenStates, schemaOf, statesDirectory } from '../../image/trial/frozen-states.ts';
import { findGround, type TrialGround, tryRuntime } from '../../image/trial/trial-root.ts';
import { type TrialInput, tryOrders, tryStarts } from '../../image/trial/trial-start.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { thinRuntime } from '../support/world/builder.ts';
import { patienceMs } from '../support/world/wait.ts';
import { checkout, nodeBinary, type TemporaryDirectory, temporaryDirectory, writeTree } from './fixture-tree.ts';

let directory: TemporaryDirectory;
let states: FrozenState[];
let ground: TrialGround;

beforeAll(async () => {
  directory = await temporaryDirectory();
  states = await readFrozenStates(statesDirectory(checkout));
  ground = await findGround();
});
afterAll(() => directory[Symbol.asyncDispose]());

/** Builds the agent of the checkout, with the patch of a release of the tests or another change of one file. */
async function built(name: string, change: { patch: string } | { file: string; from: string; to: string } | null) {
  const tree = join(directory.path, name, 'source');
  const payloadDir = join(directory.path, name, 'payload');
  const patch = change !== null && 'patch' in change ? change.patch : null;
  const patchFile = patch === null ? null : join(checkout, 'test', 'releases', patch, 'release.patch');
  await patchedSource({ sourceDir: checkout, patchFile, outDir: tree });
  if (change !== null && 'file' in change) {
    const text = await readFile(join(tree, change.file), 'utf8');
    expect(text).toContain(change.from);
    await writeFile(join(tree, change.file), text.replace(change.from, change.to));
  }
  const version = patch ?? '2.0.0';
  const release = { component: 'app', version, commit: 'test', node: nodeBinary } as const;
  const { entry } = await emitProgram({ ...release, sourceDir: tree, outDir: payloadDir });
  return { payloadDir, entry, version };
}

type Program = Awaited<ReturnType<typeof built>>;

/** The agent of the checkout as it is, built once: a trial only reads it. */
let asItIs: Promise<Program> | null = null;
const whole = () => (asItIs ??= built('whole', null));

/** A sound release has as long as the machine needs; what it does wrong comes with its own work, not with our seconds. */
const patient = { upMs: patienceMs, ordersMs: patienceMs, watchMs: 1_500, turns: 2, stopMs: patienceMs };
const brief = { ...patient, watchMs: 0, turns: 1 };

function inputOf(program: Program, changes: Partial<TrialInput> = {}): TrialInput {
  return { ...program, node: nodeBinary, reads: { min: 0, max: 1 }, states, ground, bounds: patient, ...changes };
}

const trial = (program: Program, changes: Partial<TrialInput> = {}) => tryStarts(inputOf(program, changes));

describe('the frozen states', () => {
  it('have each schema that the agent knows, the oldest settings, a first day and a power cut, and say who wrote them', async () => {
    const schemas = new Set<number | null>();
    for (const [index, state] of states.entries()) {
      schemas.add(await schemaOf(state, join(directory.path, `look-${index}`)));
      expect(await readFile(join(statesDirectory(checkout), state.name, 'README.md'), 'utf8')).toMatch(/\w+/);
    }
    // Whoever adds a migration freezes a state with its schema here.
    expect([...schemas]).toEqual(expect.arrayContaining([null, 0, ...migrations.map(({ schema }) => schema)]));
    expect(states.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['empty', 'oldest-settings', 'release-1.0.52', 'release-1.0.52-power-cut']),
    );
  });
});

describe('the trial start of a release', () => {
  it('S2: comes up with every frozen state, and leaves them as they are', async () => {
    const before = treeDigest(statesDirectory(checkout));
    const outcomes = await trial(await whole());
    expect(outcomes.map(({ state, outcome }) => [state, outcome])).toEqual(states.map(({ name }) => [name, 'came-up']));
    expect(treeDigest(statesDirectory(checkout))).toEqual(before);
  });

  it('S2: refuses a release that reads a setting which the oldest settings do not have', async () => {
    const program = await built('settings', {
      file: 'agent/settings.ts',
      from: 'const known = new Set(',
      to: "if ('mcp_url' in found) (found.site_name as string).trim();\n    const known = new Set(",
    });
    await expect(trial(program)).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringContaining('with the state oldest-settings'),
    });
  });

  it.each([
    ['crashes at each start', '1.0.40', 'trial-start-failed', /before it could answer health/],
    // Its second may be over before anybody got round to asking.
    ['crashes a second later', '1.0.55', 'trial-start-failed', /before it could (answer health|go on working)/],
    ['says in its health answer that it is another version', '1.0.61', 'version-mismatch', /says in its health answer/],
  ])('refuses a release that %s', async (_, patch, code, message) => {
    const program = await built(patch, { patch });
    const one = { states: states.slice(0, 1) };
    await expect(trial(program, one)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it.each([
    [
      'after its first answer',
      'agent/health.ts',
      'socket.resume();',
      'socket.resume(); setImmediate(() => process.exit(7));',
    ],
    [
      'with the third turn of its work',
      'agent/duties/scheduler.ts',
      'this.turns += 1;',
      'this.turns += 1; if (this.turns === 3) process.exit(7);',
    ],
  ])('refuses a release that ends %s, however long that takes', async (_, file, from, to) => {
    const program = await built(file.replaceAll('/', '-'), { file, from, to });
    const impatient = { states: states.slice(0, 1), bounds: { ...patient, watchMs: 0 } };
    await expect(trial(program, impatient)).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringMatching(/it ended with 7 before it could (answer health|go on working)/),
    });
  });

  it('ends one that hangs and hears no signal, within its bounds', async () => {
    const program = await built('hangs', { patch: '1.0.41' });
    const one = { states: states.slice(0, 1), bounds: { ...brief, upMs: 1_500 } };
    await expect(trial(program, one)).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringContaining('did not answer health within 1.5 s'),
    });
  });

  it('refuses one that does not stop when it is told to', async () => {
    const program = await built('stays', {
      file: 'agent/main.ts',
      from: 'stopping.abort();\n      setTimeout(() => process.exit(1), stopMsMax).unref();',
      to: '',
    });
    const one = { states: states.slice(0, 1), bounds: { ...brief, stopMs: 500 } };
    await expect(trial(program, one)).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringContaining('did not stop within 0.5 s'),
    });
  });

  it('names a state that the release declares it cannot read, and tries the others', async () => {
    const program = await whole();
    const some = states.filter(({ name }) => ['empty', 'schema-0'].includes(name));
    expect(await trial(program, { states: some, reads: { min: 1, max: 1 } })).toEqual([
      { state: 'empty', outcome: 'came-up', ms: expect.any(Number) },
      { state: 'schema-0', outcome: 'skipped', why: 'it has schema 0, the release declares that it reads 1 to 1' },
    ]);
  });

  it('has a root of its own, in which nothing of this machine is found that is not in the slot', async () => {
    // Root may mount; who is not root needs a user namespace, and is told where there is none.
    if (process.getuid?.() === 0) expect(ground).toEqual({ kind: 'own-root' });
    const program = await built('reaching', {
      file: 'agent/main.ts',
      from: 'const stopping = new AbortController();',
      to: `const stopping = new AbortController();
  if ((await systemFiles.readText(${JSON.stringify(join(checkout, 'package.json'))}, 1_000_000)) === null) process.exit(9);`,
    });
    const one = { states: states.slice(0, 1), bounds: brief };
    const within = trial(program, one).then(
      ([outcome]) => outcome?.outcome,
      ({ message }: Error) => message,
    );
    expect(await within).toMatch(
      ground.kind === 'own-root' ? /it ended with 9 before it could answer health/ : /^came-up$/,
    );
    const beside = { ...one, ground: { kind: 'machine', why: 'nobody may mount here' } as const };
    expect(await trial(program, beside)).toMatchObject([{ outcome: 'came-up' }]);
  });

  it.each([
    ['its own', null],
    ['whatever this machine has', 'nobody may mount here'],
  ])('finds no program by PATH, in a root with %s', async (_, why) => {
    const program = await built(`path-${why === null}`, {
      file: 'agent/main.ts',
      from: 'const stopping = new AbortController();',
      to: `const stopping = new AbortController();
  const { spawnSync } = await import('node:child_process');
  if (spawnSync('env').status !== null) process.exit(9);`,
    });
    const where = why === null ? ground : ({ kind: 'machine', why } as const);
    const one = { states: states.slice(0, 1), bounds: brief, ground: where };
    expect(await trial(program, one)).toMatchObject([{ outcome: 'came-up' }]);
  });

  it('refuses a runtime that starts something else of the machine which builds', async () => {
    const program = await whole();
    const files = { ...program, node: thinRuntime(join(directory.path, 'thin-runtime')) };
    await expect(tryRuntime(ground, files)).rejects.toMatchObject({ code: 'runtime-unusable' });
    expect(await tryRuntime(ground, { ...program, node: nodeBinary })).toBe(process.version);
  });

  it('refuses to pass against no state at all', async () => {
    await expect(readFrozenStates(join(directory.path, 'nothing'))).rejects.toMatchObject({ code: 'states-missing' });
  });
});

describe('the orders of a trial', () => {
  it('are each taken and ended by a release that is whole, from the newest state', async () => {
    expect(await tryOrders(inputOf(await whole(), { bounds: brief }))).toEqual({
      state: 'schema-1, with orders',
      outcome: 'came-up',
      ms: expect.any(Number),
    });
  });

  it('S2: are what the release dies of that stranded a fleet: it comes up well, and is refused', async () => {
    const program = await built('stranding', { patch: '1.0.49' });
    await expect(tryOrders(inputOf(program))).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringMatching(/it ended with 1 before it could end its orders \([^)]*update_iso[^)]*\)/),
    });
  });

  it('are not passed by a release that leaves one without an end', async () => {
    const program = await built('forgetful', {
      file: 'agent/orders.ts',
      from: 'this.#ledger.start(order.id);',
      to: "if (order.kind === 'identify') return;\n    this.#ledger.start(order.id);",
    });
    const bounds = { ...brief, ordersMs: 4_000 };
    await expect(tryOrders(inputOf(program, { bounds }))).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringMatching(/did not end its orders \([^)]*identify[^)]*\) within 4 s/),
    });
  });
});

describe('the build of a release', () => {
  it('S2: refuses a broken one before anything is signed, unless it is told not to try', async () => {
    const key = () => generateKeyPair().publicKey;
    const keys = { answer: key(), snapshot: key(), timestamp: key() };
    await writeTree(directory.path, { 'public-keys.json': JSON.stringify(keys) });
    const out = join(directory.path, 'out');
    const run = (...more: string[]) =>
      execa(
        nodeBinary,
        [
          join(checkout, 'image', 'main.ts'),
          ...['build', '--component', 'app', '--release', join(checkout, 'test', 'releases', '1.0.40'), '--out', out],
          ...['--repository', join(directory.path, 'repository')],
          ...['--server-keys', join(directory.path, 'public-keys.json'), '--json', ...more],
        ],
        { reject: false },
      );
    const places = [
      '--repository',
      join(directory.path, 'repository'),
      '--server-keys',
      join(directory.path, 'public-keys.json'),
    ];
    await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), 'keys', 'init', ...places]);
    const refused = await run('--dry-run');
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('(trial-start-failed)')]);
    const noRuntime = await run('--dry-run', '--runtime', join(directory.path, 'none'));
    expect([noRuntime.exitCode, noRuntime.stderr]).toEqual([1, expect.stringContaining('(runtime-missing)')]);
    const dry = await run('--dry-run', '--no-trial-start');
    expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, version: '1.0.40', starts: null });
    expect((await readdir(directory.path)).includes('out')).toBe(false);
    expect((await run()).exitCode).toBe(1);
    const listed = await readFile(join(directory.path, 'repository', 'metadata', 'targets.json'), 'utf8');
    expect(JSON.parse(listed).signed.targets).toEqual({});
  });
});
