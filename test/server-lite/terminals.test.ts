import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { hostileIn, hostileText } from '../support/hostile-text.ts';
import { TestServer } from '../support/test-server.ts';

const cli = resolve('server-lite/cli/main.ts');

/** An appliance that says it wherever there is room for a text, and `holdfast` on that server. */
async function withHostile() {
  const bench = await TestServer.start();
  const token = join(bench.directory, 'token');
  await writeFile(token, bench.token, { mode: 0o600 });
  await bench.publish('1.0.49');
  const client = await bench.appliance('alpha');
  await client.checkIn('agent');
  const order = await bench.sendOrder('alpha', 'run-checks');
  await client.checkIn('updater', {
    health: { status: 'ok', row: 'idle', why: hostileText, agentAlive: true },
    events: [
      client.event('updater', {
        kind: 'agent-crashed',
        text: `crash ${hostileText}`,
        crash: { count: 1, exit: { code: 1, signal: null }, version: '1', output: `boom\n${hostileText}` },
      }),
    ],
  });
  await client.checkIn('agent', { health: { status: 'ok', checks: { [hostileText.slice(0, 30)]: 'ok' } } });
  const outcome = { id: order.id, state: 'failed' as const, error: hostileText, result: hostileText };
  await client.checkIn('agent', { events: [client.event('agent', { kind: 'order', order: outcome })] });
  const run = (...words: string[]) =>
    execa(process.execPath, [cli, '--server', bench.url, '--token-file', token, ...words], { reject: false });
  return { bench, run, order };
}

describe("the operator's terminal", () => {
  it('shows what an appliance says, and does nothing that it says', async () => {
    const { bench, run, order } = await withHostile();
    await using _ = bench;
    const commands = [['fleet'], ['appliance', 'show', 'alpha'], ['orders'], ['orders', 'show', order.id]];
    for (const words of [...commands, ...commands.map((one) => ['--json', ...one])]) {
      const { stdout, stderr } = await run(...words);
      expect([hostileIn(stdout), stderr], words.join(' ')).toEqual([[], '']);
    }
    const { stdout } = await run('appliance', 'show', 'alpha');
    expect(stdout).toContain('ท่าเรือ');
    expect(stdout).toContain('\\u001b]0;owned\\u0007');
    expect(stdout).toContain('ميناء');
    for (const list of ['fleet', 'orders']) {
      const lines = (await run('--json', list)).stdout.split('\n');
      // A value a line, and no list around them.
      expect([list, lines.map((line) => Array.isArray(JSON.parse(line)))]).toEqual([list, [false]]);
    }
    const json = JSON.parse((await run('--json', 'appliance', 'show', 'alpha')).stdout);
    expect(json.lastCrash.output).toContain(hostileText);
  });

  it('is told what was typed wrongly and refused the same way', async () => {
    const { bench, run } = await withHostile();
    await using _ = bench;
    for (const words of [[hostileText], ['appliance', 'show', hostileText], ['release', 'publish', hostileText]]) {
      const { stdout, stderr, exitCode } = await run(...words);
      expect([hostileIn(stdout + stderr), exitCode === 0], words.join(' ')).toEqual([[], false]);
      expect(stderr).toContain('ท่าเรือ');
    }
  });
});
