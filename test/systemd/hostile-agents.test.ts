import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applianceViewShape } from '../../server-lite/operator/shapes.ts';
import { told } from '../scenarios/scene.ts';
import { freePort } from '../support/world/free-port.ts';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { comesWithinMs, Site, serves } from './site.ts';

/**
 * Agents that take what they can get, each as the factory version of a machine of its own. Each time the machine itself
 * says first that the attack took effect. Then status and page answer, and the next release arrives.
 */
const site = new Site();
const agent = 'holdfast-agent.service';
const next = '1.0.110';
/** People wait for no answer longer than this, also on a machine that is busy with other tests. */
const answersWithinMs = 20_000;

interface Hostile {
  readonly version: string;
  readonly how: string;
  /** What the machine itself sees of the attack; null: not yet. */
  readonly proof: (machine: Machine) => Promise<true | null>;
  /** Of what is left of it in the journal after the next release came. */
  readonly after?: RegExp;
}

const hostile: readonly Hostile[] = [
  {
    version: '1.0.100',
    how: 'forks without end has as many processes as its unit may have',
    proof: async (machine) => (Number(await machine.property(agent, 'TasksCurrent')) >= 126 ? true : null),
  },
  {
    version: '1.0.101',
    how: 'takes memory without end is killed at its limit, again and again',
    proof: async (machine) => {
      const { agent: seen } = await machine.status();
      return seen.crashes >= 2 && seen.lastExit?.signal === 'SIGKILL' ? true : null;
    },
  },
  { version: '1.0.102', how: 'keeps every core busy', proof: spins },
  {
    version: '1.0.103',
    how: 'leaks handles has as many as its unit may have',
    proof: async (machine) => ((await count(machine, 'ls /proc/PID/fd | wc -l')) >= 4_096 ? true : null),
  },
  {
    version: '1.0.104',
    how: 'stops itself neither works nor ends',
    proof: async (machine) => ((await count(machine, 'grep -c "^State:.T" /proc/PID/status')) === 1 ? true : null),
  },
  {
    version: '1.0.105',
    how: 'does not end when it is told to',
    proof: async (machine) => {
      if ((await machine.status()).agent.version !== '1.0.105') return null;
      const before = await machine.property(agent, 'MainPID');
      await machine.command('systemctl', 'kill', '--signal=SIGTERM', agent);
      await machine.command('sleep', '2');
      return (await machine.property(agent, 'MainPID')) === before ? true : null;
    },
    after: /State 'stop-sigterm' timed out\. Killing/,
  },
  { version: '1.0.106', how: 'floods log and hint is not heard each time', proof: floods },
];

/** What the machine counts of the agent; never what the agent says. */
async function count(machine: Machine, script: string): Promise<number> {
  const pid = await machine.property(agent, 'MainPID');
  return Number((await machine.try(['sh', '-c', script.replaceAll('PID', pid)])).stdout.trim());
}

/** More threads that run than there are cores, and seconds of time that they used. */
async function spins(machine: Machine): Promise<true | null> {
  const running = await count(machine, 'grep -l "^State:.R" /proc/PID/task/*/status | wc -l');
  const ticks = await count(machine, "awk '{ print $14 }' /proc/PID/stat");
  return running > 2 && ticks > 200 ? true : null;
}

async function floods(machine: Machine): Promise<true | null> {
  const touched = () => machine.command('stat', '--format=%y', '/var/lib/holdfast/run/hint');
  const before = await touched();
  const { stdout } = await machine.try([
    'journalctl',
    '--quiet',
    '--output=cat',
    '--grep=^Suppressed .* messages from',
  ]);
  return stdout.includes(agent) && (await touched()) !== before ? true : null;
}

async function assign(name: string, version: string): Promise<void> {
  const path = `/api/appliances/${name}/assign`;
  await site.world.server.api(applianceViewShape, 'POST', path, { version, component: 'app' });
}

/** The page through its socket, for a technician: on a port of this test's own. */
async function openPage(machine: Machine): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`;
  machine.dropIn('holdfast-page.socket', `[Socket]\nListenStream=\nListenStream=${address}\n`);
  await machine.command('systemctl', 'daemon-reload');
  await machine.command('systemctl', 'restart', 'holdfast-page.socket');
  return `http://${address}`;
}

async function answersInTime(machine: Machine, page: string): Promise<void> {
  const startedMs = performance.now();
  expect((await machine.status()).row).toBe('idle');
  const answer = await fetch(page, { signal: AbortSignal.timeout(answersWithinMs) });
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('What you can do here');
  expect(performance.now() - startedMs).toBeLessThan(answersWithinMs);
}

beforeAll(async () => {
  await site.found();
  await site.world.publish(await site.world.builder.unpatched(next));
});

afterAll(() => site[Symbol.asyncDispose]());

describe('under systemd, an agent that', () => {
  it.each(hostile)(
    '$how, and keeps neither people nor the next release out (S1, S48, S58)',
    async ({ version, how, proof, after }) => {
      const name = `m-${version.replaceAll('.', '-')}`;
      await using machine = await site.appliance(name, await site.tree(version));
      const page = await openPage(machine);
      await until(how, comesWithinMs, () => proof(machine));
      await answersInTime(machine, page);
      await assign(name, next);
      const status = await serves(machine, next);
      expect(told(status.transactions)).toEqual([`${version} -> ${next} committed`]);
      expect(status.agent.crashes).toBe(0);
      if (after !== undefined) expect(await machine.journal(agent)).toMatch(after);
    },
    400_000,
  );
});
