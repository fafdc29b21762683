import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { beginRepository } from '../../image/repository.ts';
import { exitDone, exitFailed } from '../../protocol/exit-status.ts';
import type { Layout } from '../../protocol/layout.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { publishStatus } from '../../updater/status/publish-status.ts';
import { TestServer } from '../support/test-server.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { idleState } from '../updater/support/states.ts';
import { temporaryAppliance } from '../updater/support/temporary-appliance.ts';
import { testAppliance } from '../updater/support/test-appliance.ts';

/** An output that takes nothing: a full disk, or a pipe that nobody reads. Nobody was told anything. */

const programs = {
  holdfast: 'server-lite/cli/main.ts',
  'holdfast-server': 'server-lite/main.ts',
  'holdfast-updater': 'updater/main.ts',
  'field page': 'updater/page/main.ts',
  bundle: 'image/main.ts',
} as const;
type Program = keyof typeof programs;
type Call = [Program, ...string[]];

async function ended(stdout: number | 'pipe', [program, ...words]: Call) {
  const file = join(checkout, programs[program]);
  const child = spawn(nodeBinary, [file, ...words], {
    stdio: ['ignore', stdout, 'pipe'],
    env: { ...process.env, HOLDFAST_CONFIG: '' },
  });
  child.stdout?.destroy();
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [exitCode] = await once(child, 'close');
  return { exitCode, stderr };
}

async function onFullDisk(...call: Call) {
  const full = openSync('/dev/full', 'w');
  try {
    return await ended(full, call);
  } finally {
    closeSync(full);
  }
}

const told = /output could not be written \(ENOSPC\)[^\n]*(\n|; )(Next: |what to do: )?make room for it, or send it/;

async function expectTold(...call: Call): Promise<void> {
  const { exitCode, stderr } = await onFullDisk(...call);
  expect([exitCode, stderr], call.join(' ')).toEqual([exitFailed, expect.stringMatching(told)]);
  expect(stderr).not.toMatch(/^\s+at |node:internal/m);
  // The reader went away: it knows that itself.
  expect(await ended('pipe', call), call.join(' ')).toEqual({ exitCode: exitFailed, stderr: '' });
}

let layout: Layout;
const directory = mkdtempSync(join(tmpdir(), 'holdfast-unwritten-'));
beforeEach(async () => {
  layout = temporaryAppliance();
  await publishStatus(testAppliance(layout).appliance, idleState());
});
afterAll(() => rmSync(directory, { recursive: true }));

const words = ['setup', 'run', 'status', 'why', 'plan', 'check', 'install', 'rollback', 'put-aside', 'retry', 'reset'];

describe('an output that cannot be written', () => {
  it.each(words)('fails holdfast-updater %s --help', async (command) => {
    if (command !== 'run') await expectTold('holdfast-updater', command, '--help');
    // What launch and systemd start does not depend on its log.
    else expect(await onFullDisk('holdfast-updater', command, '--help')).toEqual({ exitCode: exitDone, stderr: '' });
  });

  it.each(['status', 'why', 'history', 'put-aside', 'sources'])('fails holdfast-updater %s', async (command) => {
    await expectTold('holdfast-updater', command, '--root', layout.root);
  });

  it.each<Call>([
    ['holdfast-updater', '--help'],
    ['holdfast-updater', '--version'],
    ['field page', '--help'],
    ['holdfast', '--help'],
    ['holdfast', '--version'],
    ['holdfast', 'rollout', '--help'],
    ['holdfast-server', '--help'],
    ['holdfast-server', '--version'],
    ['holdfast-server', 'serve', '--help'],
    ['bundle', '--help'],
    ['bundle', 'verify', '--help'],
  ])('fails %s %s %s', (...call) => expectTold(...call));

  it('fails what shows the keys of a repository', async () => {
    const { publicKey: answer } = generateKeyPair();
    const serverKeys = { answer, snapshot: generateKeyPair().publicKey, timestamp: generateKeyPair().publicKey };
    await beginRepository({ dir: directory, serverKeys, now: () => new Date() }, null);
    await expectTold('bundle', 'keys', 'show', '--repository', directory);
  });

  it('is told as JSON where that was asked for', async () => {
    const { stderr } = await onFullDisk('holdfast-updater', 'status', '--root', layout.root, '--json');
    expect(JSON.parse(stderr)).toMatchObject({ code: 'output-not-written' });
  });

  it('replaces no operator token, and fails a backup', async () => {
    await using bench = await TestServer.start();
    await expectTold('holdfast-server', 'token', '--data', bench.data);
    const headers = { authorization: `Bearer ${bench.token}` };
    expect((await fetch(`${bench.url}/api/server`, { headers })).status).toBe(200);
    const { exitCode, stderr } = await onFullDisk(
      ...(['holdfast-server', 'backup', '--data', bench.data, '--out', join(directory, 'backup')] as const),
    );
    expect([exitCode, stderr]).toEqual([exitFailed, expect.stringMatching(told)]);
  });
});
