import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { killAll, processesOf } from '../../../image/development/supervisor/processes-of.ts';
import { ownMounts } from '../../../image/development/supervisor/sandbox.ts';
import { controlSocketOf, type SupervisorConfig } from '../../../image/development/supervisor/supervisor.ts';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import type { Status } from '../../../protocol/status.ts';
import { readShownStatus } from '../../../updater/commands/read-status.ts';
import { realClock } from '../../../updater/effects/clock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { checkout, nodeBinary } from './checkout.ts';
import { patienceMs } from './wait.ts';

const setUpShape = z.object({ appliance: z.string(), name: z.string(), pin: z.string().nullable() });

export interface BoxOptions {
  readonly name: string;
  readonly root: string;
  readonly os: string;
  readonly logs: string;
  readonly timerMs: number | null;
  readonly pagePort: number | null;
  /** Seconds instead of minutes; status says so. */
  readonly trial?: { readonly healthyMs: number; readonly deadlineMs: number };
  readonly settings?: Readonly<Record<string, unknown>>;
  /** More words for `setup`. */
  readonly setUpWords?: readonly string[];
  /** Whether launch can be made to wait, by a file in `config.launchGate`. */
  readonly holdsLaunch?: boolean;
}

/** As root, each appliance has users of its own, so that "nothing of the agent is left" is a question with an answer. */
function users(): { agent: { uid: number; gid: number } | null; page: { uid: number; gid: number } | null } {
  if (process.getuid?.() !== 0) return { agent: null, page: null };
  const base = 200_000 + 2 * randomInt(500_000);
  return { agent: { uid: base, gid: base }, page: { uid: base + 1, gid: base + 1 } };
}

/** One appliance on this machine: its disk, its operating system's part, and a supervisor in place of systemd. */
export class ApplianceBox {
  readonly options: BoxOptions;
  readonly layout: Layout;
  readonly config: SupervisorConfig;
  #supervisor: ChildProcess | null = null;
  id = '';
  pin = '';

  constructor(options: BoxOptions) {
    this.options = options;
    this.layout = layoutOf(options.root);
    const { agent, page } = users();
    const { root, os, timerMs, pagePort } = options;
    const logs = join(options.logs, options.name);
    this.config = {
      root,
      os,
      logs,
      agentUser: agent,
      pageUser: page,
      timerMs,
      page: pagePort === null ? null : { port: pagePort },
      overdueS: 300,
      sandbox: null,
      launchGate: options.holdsLaunch === true ? join(logs, 'launch-gate') : null,
    };
  }

  /** `holdfast-updater setup`, with the settings that root has put there before. */
  async setUp(server: string, claim: string): Promise<void> {
    const { agentUser, pageUser } = this.config;
    mkdirSync(this.layout.updater, { recursive: true });
    mkdirSync(this.config.logs, { recursive: true });
    chmodSync(this.options.root, 0o755);
    const settings = {
      processControl: {
        kind: 'supervisor',
        socket: controlSocketOf(this.options.root),
        isolation: agentUser === null ? 'none' : 'users',
      },
      agentUser,
      pageUser,
      trial: { ...(this.options.trial ?? { healthyMs: 5_000, deadlineMs: 30_000 }), belowFloor: true },
      sampleMs: 250,
      stallMs: 3_000,
      answerMs: 8_000,
      graceMs: 3_000,
      ...this.options.settings,
    };
    writeFileSync(this.layout.settings, JSON.stringify(settings), { mode: 0o600 });
    const claimFile = join(this.layout.updater, 'claim');
    writeFileSync(claimFile, claim, { mode: 0o600 });
    const words = [
      'setup',
      '--server',
      server,
      '--claim-file',
      claimFile,
      '--json',
      ...(this.options.setUpWords ?? []),
    ];
    const { stdout } = await this.updaterProgram(words);
    const result = setUpShape.parse(JSON.parse(stdout));
    this.id = result.appliance;
    this.pin = result.pin ?? this.pin;
  }

  async powerOn(changes: Partial<SupervisorConfig> = {}): Promise<void> {
    const configFile = join(this.config.logs, 'supervisor.json');
    writeFileSync(configFile, JSON.stringify({ ...this.config, ...changes }));
    const log = openSync(join(this.config.logs, 'supervisor.log'), 'a');
    const main = join(checkout, 'image', 'development', 'supervisor', 'main.ts');
    const supervisor = [nodeBinary, main, '--config', configFile];
    const inSandbox = (changes.sandbox ?? this.config.sandbox) !== null;
    const [program = nodeBinary, ...args] = inSandbox ? [...ownMounts, ...supervisor] : supervisor;
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', log, 'ipc'],
      detached: true,
    });
    this.#supervisor = child;
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`the supervisor of ${this.options.name} ended with ${code}`)));
      child.once('error', reject);
    });
  }

  /** An ordered shutdown. */
  async powerOff(): Promise<void> {
    const child = this.#supervisor;
    this.#supervisor = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }

  /** The plug: everything of this appliance ends at once. */
  async pullThePlug(): Promise<void> {
    const child = this.#supervisor;
    this.#supervisor = null;
    if (child !== null && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    for (const pid of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
    for (const user of [this.config.agentUser, this.config.pageUser])
      if (user !== null) killAll({ by: 'user', uid: user.uid });
  }

  /** Every process that was started with this appliance's directory, by the process table. */
  processes(match = ''): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const command = commandLine(pid);
        return command.includes(this.options.root) && command.includes(match) && pid !== process.pid;
      });
  }

  /** The agent's main process, by the process table. */
  agentPid(): number | null {
    const { agentUser } = this.config;
    const candidates =
      agentUser === null ? this.processes('launched/app/slot') : processesOf({ by: 'user', uid: agentUser.uid });
    return candidates.find((pid) => commandLine(pid).includes('launched/app/slot')) ?? null;
  }

  updaterProgram(args: readonly string[]) {
    const { os, root } = this.options;
    return execa(join(os, 'node'), [join(os, 'updater', 'main.js'), ...args, '--root', root], { timeout: patienceMs });
  }

  /** What `holdfast-updater status --json` prints, read by the same code, without a process for each look. */
  async status(): Promise<Status> {
    const shown = readShownStatus({ files: realFiles, clock: realClock, layout: this.layout });
    if (shown === null || shown.old !== null) throw new Error(shown?.old?.sentence ?? 'there is no status');
    return shown.status;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}
