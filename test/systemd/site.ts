import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import type { Status } from '../../protocol/status.ts';
import type { Built } from '../support/world/builder.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { updaterVersion, World } from '../support/world/world.ts';
import { Machine } from './machine.ts';

/** What is waited for on a machine comes within this time, or never. */
export const comesWithinMs = 120_000;
const paceS = 0.25;
const setUpShape = z.object({ appliance: z.string(), pin: z.string().nullable() });

/** Seconds instead of minutes: root's own word on that machine. */
const shortTrials = {
  trial: { healthyMs: 2_000, deadlineMs: 30_000, belowFloor: true },
  sampleMs: 200,
  stallMs: 3_000,
  answerMs: 8_000,
  graceMs: 3_000,
} as const;

/** A few bytes that start the Node which the operating system's part brings, or this machine's while it is built. */
function thinRuntime(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'node');
  const own = '/usr/lib/holdfast/node';
  writeFileSync(path, `#!/bin/sh\n[ -x ${own} ] && exec ${own} "$@"\nexec ${nodeBinary} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A server, a release engineer, and machines with a real systemd. */
export class Site implements AsyncDisposable {
  readonly world: World;
  readonly machines: Machine[] = [];
  #updater: Built | null = null;

  constructor() {
    const dir = mkdtempSync(join(tmpdir(), 'hf-systemd-'));
    this.world = new World(dir, thinRuntime(join(dir, 'thin')));
  }

  /** @param publicUrls names that the server goes by beside the one of loopback */
  async found(publicUrls: readonly string[] = []): Promise<void> {
    await this.world.server.start(0, paceS, publicUrls);
    this.#updater = await this.world.builder.updater(updaterVersion);
    await this.world.builder.os(this.world.os, updaterVersion, []);
  }

  /** The operating system's part with this version as the agent's factory release, as a tree for `/`. */
  async tree(version: string): Promise<string> {
    const app = await this.world.builder.app(version);
    const updater = this.#updater;
    if (updater === null) throw new RangeError('the site is not founded yet');
    await this.world.publish(app, updater);
    const out = join(this.world.dir, `tree-${version}`);
    const factory = [app, updater].flatMap(({ path }) => ['--factory', path]);
    const words = ['system', '--os', this.world.os, ...factory, '--out', out];
    await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), ...words]);
    return out;
  }

  /** A plain Debian machine that is off. */
  async plainMachine(name: string): Promise<Machine> {
    const machine = await Machine.install(this.world.dir, name);
    this.machines.push(machine);
    return machine;
  }

  /** An appliance of this site, with trials of seconds and a look every second. */
  async appliance(
    name: string,
    tree: string,
    {
      prepare = () => undefined,
      capabilities = [],
      setUp = ['--server', this.world.server.url],
    }: {
      prepare?: (machine: Machine) => void;
      capabilities?: readonly string[];
      /** The words that say where the server is. */
      setUp?: readonly string[];
    } = {},
  ): Promise<Machine> {
    const machine = await this.plainMachine(name);
    await machine.layOver(tree);
    lookEachSecond(machine);
    prepare(machine);
    await machine.boot(...capabilities);
    await machine.command('systemd-sysusers');
    await shortenTrials(machine);
    const claim = await this.world.server.claim(name, basename(this.world.dir));
    machine.write('/root/claim', claim);
    setUpShape.parse(
      JSON.parse(await machine.command('holdfast-updater', 'setup', ...setUp, '--claim-file', '/root/claim', '--json')),
    );
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.machines) await machine[Symbol.asyncDispose]();
    await this.world.end();
    rmSync(this.world.dir, { recursive: true, force: true });
  }
}

/** What is assigned empty empties the list of all triggers, whatever its name: so once, and first. */
export const eachSecond = '[Timer]\nOnActiveSec=\nOnActiveSec=1\nOnUnitInactiveSec=1\nAccuracySec=100ms\n';

export function lookEachSecond(machine: Machine): void {
  machine.dropIn('holdfast-updater.timer', eachSecond);
}

async function userOf(machine: Machine, name: string): Promise<{ uid: number; gid: number }> {
  const number = async (flag: string) => Number(await machine.command('id', flag, name));
  return { uid: await number('-u'), gid: await number('-g') };
}

export async function shortenTrials(machine: Machine): Promise<void> {
  const users = { agentUser: await userOf(machine, 'hf-agent'), pageUser: await userOf(machine, 'hf-page') };
  mkdirSync(machine.layout.updater, { recursive: true, mode: 0o700 });
  const settings = { processControl: { kind: 'systemd' }, ...users, ...shortTrials };
  writeFileSync(machine.layout.settings, JSON.stringify(settings), { mode: 0o600 });
}

/** Until the machine is at rest with a living agent of that version. */
export async function serves(machine: Machine, version: string): Promise<Status> {
  const name = basename(machine.root);
  try {
    return await until(`${version} serves on ${name}`, comesWithinMs, async () => {
      const status = await machine.status();
      return status.row === 'idle' && status.agent.version === version ? status : null;
    });
  } catch (error) {
    const { stdout } = await machine.try(['journalctl', '--no-pager', '--quiet', '--lines=60']);
    throw new Error(`${version} does not serve on ${name}; its journal ends with\n${stdout}`, { cause: error });
  }
}
