import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { layoutOf } from '../../../protocol/layout.ts';
import { AgentNotGoneError, Unit, type UnitSpec } from './unit.ts';

const userShape = z.object({ uid: z.int(), gid: z.int() });

/** One appliance, as its unit files describe it. */
export const supervisorConfigShape = z.object({
  root: z.string(),
  /** What the operating system's image ships: `node` and `launch.js`. */
  os: z.string(),
  logs: z.string(),
  agentUser: userShape.nullable(),
  pageUser: userShape.nullable(),
  /** OnUnitInactiveSec of the updater's timer; null: the updater is switched off. */
  timerMs: z.int().nullable(),
  /** null: no field page. */
  page: z.object({ port: z.int() }).nullable(),
  /** A run of an updater on trial that lasts this long counts as hung. */
  overdueS: z.number().default(300),
  /** Directories that stay writable while all else is read-only, and one that must be read-only; null: no sandbox. */
  sandbox: z
    .object({ writable: z.array(z.string()), closed: z.string() })
    .nullable()
    .default(null),
  /**
   * While a file in this directory has a component's name, launch of that component waits before it begins; null:
   * never.
   */
  launchGate: z.string().nullable().default(null),
});
export type SupervisorConfig = z.infer<typeof supervisorConfigShape>;

export function controlSocketOf(root: string): string {
  return join(root, 'run', 'control', 'supervisor.sock');
}

/**
 * How the updater's unit starts Node. What a transfer leaves behind is collected at once, which saves a third of the
 * memory and costs no measurable time; an updater whose memory grows without end ends by itself.
 */
export const updaterFlags = ['--max-semi-space-size=1', '--max-old-space-size=256'] as const;

/** How often hint and requests are looked at; under systemd, the kernel tells a path unit. */
const watchMs = 200;
/** How often a hung updater is looked for, while one is on trial. */
const overdueLookMs = 1_000;
const lineBytesMax = 1_000;

function gateWords({ launchGate }: SupervisorConfig): string[] {
  if (launchGate === null) return [];
  const url = pathToFileURL(join(import.meta.dirname, 'launch-gate.js'));
  url.searchParams.set('gate', launchGate);
  return ['--import', url.href];
}

function unitSpecs(config: SupervisorConfig): { agent: UnitSpec; updater: UnitSpec; page: UnitSpec } {
  const layout = layoutOf(config.root);
  const node = join(config.os, 'node');
  const launch = (how: 'count' | 'point', component: string) => {
    return [node, ...gateWords(config), join(config.os, 'launch.js'), how, component, '--root', config.root];
  };
  const app = layout.launchedComponent('app');
  const updater = layout.launchedComponent('updater');
  const common = { restartAfterMs: 1_000, stopMs: 5_000, limits: null } as const;
  return {
    agent: {
      ...common,
      name: 'agent',
      before: launch('count', 'app'),
      command: [join(app, 'runtime', 'bin', 'node'), join(app, 'slot', 'main.js'), '--root', config.root],
      user: config.agentUser,
      // As in holdfast-agent.service; without a user of its own, processes of others would count.
      limits: config.agentUser === null ? null : { processes: 256, handles: 4_096 },
      restart: 'always',
      // Without an updater nobody would start it again after its burst, so it is restarted without end.
      burst: config.timerMs === null ? null : { starts: 4, intervalMs: 30_000 },
      logFile: join(config.logs, 'agent.log'),
    },
    updater: {
      ...common,
      name: 'updater',
      before: launch('count', 'updater'),
      command: [node, ...updaterFlags, join(updater, 'slot', 'main.js'), 'run', '--root', config.root],
      after: ({ code, signal }) => [
        ...[node, join(config.os, 'launch.js'), 'ended', 'updater', '--root', config.root, '--invocation', 'dev'],
        ...['--code', signal === null ? 'exited' : 'killed'],
        ...['--status', signal === null ? String(code) : signal.replace(/^SIG/, '')],
      ],
      ...(config.sandbox === null ? {} : { env: { PATH: '/nonexistent' } }),
      user: null,
      restart: 'on-failure',
      burst: null,
      logFile: join(config.logs, 'updater.log'),
    },
    page: {
      ...common,
      name: 'page',
      // As in holdfast-page.service: the start of a page is not a try of an updater on trial.
      before: launch('point', 'updater'),
      command: [
        node,
        join(updater, 'slot', 'page.js'),
        '--root',
        config.root,
        '--port',
        String(config.page?.port ?? 0),
      ],
      user: config.pageUser,
      restart: 'always',
      burst: null,
      logFile: join(config.logs, 'page.log'),
    },
  };
}

/** Does what tmpfiles.d does at each boot. */
function makeRun(config: SupervisorConfig): void {
  const layout = layoutOf(config.root);
  const directory = (path: string, mode: number, owner: { uid: number; gid: number } | null) => {
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
    if (owner !== null) chownSync(path, owner.uid, owner.gid);
  };
  // Emptied, not removed: it may be a mount point.
  directory(layout.run, 0o755, null);
  for (const name of readdirSync(layout.run)) rmSync(join(layout.run, name), { recursive: true, force: true });
  directory(layout.launched, 0o755, null);
  directory(join(layout.run, 'control'), 0o700, null);
  directory(layout.agentRun, 0o755, config.agentUser);
  directory(layout.requests, 0o700, config.pageUser);
  directory(layout.ownRequests, 0o700, null);
  writeFileSync(layout.hint, '', { mode: 0o620 });
  // The agent may set the time of the hint; its content is never read.
  if (config.agentUser !== null) chownSync(layout.hint, config.agentUser.uid, config.agentUser.gid);
}

/** The development supervisor of one appliance: it does only what systemd would, and knows nothing about updates. */
export class Supervisor {
  readonly #config: SupervisorConfig;
  readonly agent: Unit;
  readonly updater: Unit;
  readonly page: Unit;
  #server: Server | null = null;
  #timers: NodeJS.Timeout[] = [];
  #seen = '';
  #stopped: Promise<void> | null = null;

  constructor(config: SupervisorConfig) {
    this.#config = config;
    const specs = unitSpecs(config);
    this.agent = new Unit(specs.agent, () => this.#runUpdater());
    this.updater = new Unit(specs.updater, () => undefined);
    this.page = new Unit(specs.page, () => undefined);
  }

  /** Boots: makes run/, then starts what starts at boot. */
  async start(): Promise<void> {
    mkdirSync(this.#config.logs, { recursive: true });
    makeRun(this.#config);
    await this.#listen();
    this.#seen = this.#watched();
    this.agent.start();
    this.#runUpdater();
    if (this.#config.page !== null) this.page.start();
    if (this.#config.timerMs !== null) {
      this.#timers.push(setInterval(() => this.#runUpdater(), this.#config.timerMs));
      this.#timers.push(setInterval(() => this.#watch(), watchMs));
      this.#timers.push(setInterval(() => this.#endOverdue(), overdueLookMs));
    }
  }

  /** May be called repeatedly. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.updater.stop(), this.page.stop()]);
    await this.agent.stop();
    this.#server?.close();
  }

  #runUpdater(): void {
    if (this.#config.timerMs === null) return;
    // If it waits for its restart after a failure, it still waits its second.
    if (this.updater.state === 'inactive' || this.updater.state === 'failed') this.updater.start();
  }

  /** `holdfast-overdue.service`. */
  #endOverdue(): void {
    const { root, os, overdueS } = this.#config;
    if (!existsSync(layoutOf(root).updaterStart)) return;
    const words = [join(os, 'launch.js'), 'overdue', 'updater', '--after-s', String(overdueS), '--root', root];
    spawn(join(os, 'node'), words, { stdio: 'ignore' }).once('exit', (code) => {
      if (code === 0) this.updater.kill();
    });
  }

  #watched(): string {
    const layout = layoutOf(this.#config.root);
    const paths = [layout.hint, layout.requests, layout.ownRequests];
    return paths.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 'none').join(' ');
  }

  #watch(): void {
    const now = this.#watched();
    if (now === this.#seen) return;
    this.#seen = now;
    this.#runUpdater();
  }

  #listen(): Promise<void> {
    const path = controlSocketOf(this.#config.root);
    // The client half-closes after its line and waits for ours.
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => resolve());
    });
  }

  #serve(socket: Socket): void {
    let line = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      line += bytes.toString('utf8');
      if (line.length > lineBytesMax) socket.destroy();
    });
    socket.on('end', () => {
      this.#answer(line).then(
        (answer) => socket.end(JSON.stringify(answer)),
        (error: unknown) => {
          const code = error instanceof AgentNotGoneError ? error.code : 'failed';
          socket.end(JSON.stringify({ ok: false, code, message: String(error) }));
        },
      );
    });
  }

  async #answer(line: string): Promise<object> {
    const { op } = z
      .object({ op: z.enum(['agent', 'start-agent', 'stop-agent', 'run-updater', 'updater-output']) })
      .parse(JSON.parse(line));
    if (op === 'start-agent') this.agent.start();
    if (op === 'stop-agent') await this.agent.stop();
    if (op === 'run-updater') this.#runUpdater();
    if (op === 'updater-output') return { ok: true, updaterOutput: this.updater.lastOutput };
    const { state, pid, crashes, lastExit, lastOutput } = this.agent;
    return { ok: true, agent: { state, pid, crashes, lastExit, lastOutput } };
  }
}
