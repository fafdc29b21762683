import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { supervisorTexts } from '../../texts.ts';
import { killAll, type Owner, processesOf } from './processes-of.ts';

/** One service, as a unit file describes it. */
export interface UnitSpec {
  readonly name: string;
  /** `ExecStartPre=+`: runs as the supervisor's user before each start; a failure is a failed start. */
  readonly before: readonly string[] | null;
  readonly command: readonly string[];
  /** `ExecStopPost=`: runs as the supervisor's user after each end. */
  readonly after?: (exit: Exit) => readonly string[];
  readonly user: { readonly uid: number; readonly gid: number } | null;
  readonly restart: 'always' | 'on-failure';
  readonly restartAfterMs: number;
  /** Starts within the interval until the unit is `failed`; null: no limit. */
  readonly burst: { readonly starts: number; readonly intervalMs: number } | null;
  readonly stopMs: number;
  readonly logFile: string;
  /** `LimitNPROC=` and `LimitNOFILE=`; null: those of the supervisor. */
  readonly limits: { readonly processes: number; readonly handles: number } | null;
  readonly fds?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

const outputBytesMax = 16 * 1024;
/** How long the kernel may take to end a killed process. */
const goneWithinMs = 60_000;
/** `LogRateLimitBurst=`: if more output than this comes within the interval, only its size is kept. */
const logRate = { bytes: 4 * 1024 * 1024, intervalMs: 30_000 } as const;

type State = 'active' | 'starting' | 'waiting' | 'failed' | 'inactive';

/** One unit's life: start, restart with a burst, stop with proof that none of its processes is left. */
export class Unit {
  readonly spec: UnitSpec;
  readonly #onFailed: () => void;
  #state: State = 'inactive';
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #starts: number[] = [];
  #output = Buffer.alloc(0);
  #logged = { sinceMs: 0, bytes: 0, dropped: 0 };
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();
  crashes = 0;
  lastExit: Exit | null = null;
  lastOutput = '';

  constructor(spec: UnitSpec, onFailed: () => void) {
    this.spec = spec;
    this.#onFailed = onFailed;
  }

  get state(): State {
    return this.#state;
  }

  get pid(): number | null {
    return this.#state === 'active' ? (this.#child?.pid ?? null) : null;
  }

  /** `systemctl kill --signal=SIGKILL`. */
  kill(): void {
    const pid = this.#child?.pid;
    if (this.#state === 'active' && pid !== undefined) signalGroup(pid, 'SIGKILL');
  }

  /** `systemctl reset-failed` and `start`: does nothing if the unit runs or is about to. */
  start(): void {
    if (this.#stopping || this.#state === 'active' || this.#state === 'starting') return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#starts = [];
    this.#begin();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    try {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
      const child = this.#child;
      if (child?.pid !== undefined) {
        signalGroup(child.pid, 'SIGTERM');
        const killer = setTimeout(() => child.pid !== undefined && signalGroup(child.pid, 'SIGKILL'), this.spec.stopMs);
        await this.#ended;
        clearTimeout(killer);
      }
      await this.#proveGone(child?.pid ?? null);
      this.#state = 'inactive';
    } finally {
      this.#stopping = false;
    }
  }

  #owner(pgid: number | null): Owner | null {
    if (this.spec.user !== null) return { by: 'user', uid: this.spec.user.uid };
    return pgid === null ? null : { by: 'group', pgid };
  }

  async #proveGone(pgid: number | null): Promise<void> {
    const owner = this.#owner(pgid);
    if (owner === null) return;
    for (const endsAt = performance.now() + goneWithinMs; performance.now() < endsAt; await delay(20)) {
      if (processesOf(owner).length === 0) return;
      killAll(owner);
    }
    throw new AgentNotGoneError(supervisorTexts.outliveKill(this.spec.name, processesOf(owner).join(', ')));
  }

  #begin(): void {
    const now = performance.now();
    const { burst } = this.spec;
    if (burst !== null) {
      this.#starts = [...this.#starts.filter((at) => now - at < burst.intervalMs), now];
      if (this.#starts.length > burst.starts) {
        this.#state = 'failed';
        this.#onFailed();
        return;
      }
    }
    this.#state = 'starting';
    this.#output = Buffer.alloc(0);
    this.#ended = this.#run();
    this.#ended.catch((error: unknown) => this.#log(supervisorTexts.failed(String(error))));
  }

  async #run(): Promise<void> {
    if (this.spec.before !== null) {
      const exit = await this.#wait(this.#spawn(this.spec.before, null));
      if (exit.code !== 0) return this.#over(exit, false);
      if (this.#stopping) return;
    }
    this.#output = Buffer.alloc(0);
    const child = this.#spawn([...limiting(this.spec.limits), ...this.spec.command], this.spec.user);
    this.#state = 'active';
    const exit = await this.#wait(child);
    // KillMode=control-group: what the main process leaves behind is ended, too.
    const owner = this.#owner(child.pid ?? null);
    if (owner !== null) killAll(owner);
    if (this.spec.after !== undefined) await this.#wait(this.#spawn(this.spec.after(exit), null));
    this.#over(exit, true);
  }

  #spawn(command: readonly string[], user: { uid: number; gid: number } | null): ChildProcess {
    const [file, ...args] = command;
    if (file === undefined) throw new RangeError(`${this.spec.name} has an empty command`);
    const child = spawn(file, args, {
      detached: true,
      cwd: '/',
      // As under systemd, a unit gets nothing of our own environment.
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', ...this.spec.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(user === this.spec.user ? (this.spec.fds ?? []) : [])],
      ...(user ?? {}),
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes: Buffer) => this.#collect(bytes));
    return child;
  }

  #wait(child: ChildProcess): Promise<Exit> {
    return new Promise((resolve) => {
      child.on('error', (error) => {
        this.#collect(Buffer.from(supervisorTexts.failed(error.message)));
        resolve({ code: 203, signal: null }); // what systemd reports when a program cannot be executed
      });
      child.on('exit', (code, signal) => resolve({ code, signal }));
    });
  }

  #over(exit: Exit, started: boolean): void {
    this.#child = null;
    this.lastExit = exit;
    this.#log(supervisorTexts.ended(this.spec.name, exit.signal ?? exit.code));
    if (this.#stopping) return;
    const failed = exit.code !== 0 || exit.signal !== null;
    if (started && (failed || this.spec.restart === 'always')) {
      this.crashes += 1;
      // The pipes may still hold the last output.
      setImmediate(() => {
        this.lastOutput = this.#output.toString('utf8');
      });
    }
    if (this.spec.restart === 'always' || failed) {
      this.#state = 'waiting';
      this.#timer = setTimeout(() => this.#begin(), this.spec.restartAfterMs);
    } else this.#state = 'inactive';
  }

  #collect(bytes: Buffer): void {
    const all = Buffer.concat([this.#output, bytes]);
    this.#output = all.subarray(Math.max(0, all.length - outputBytesMax));
    const now = performance.now();
    if (now - this.#logged.sinceMs >= logRate.intervalMs) {
      if (this.#logged.dropped > 0) this.#log(supervisorTexts.notKept(this.#logged.dropped));
      this.#logged = { sinceMs: now, bytes: 0, dropped: 0 };
    }
    if (this.#logged.bytes >= logRate.bytes) {
      if (this.#logged.dropped === 0) this.#log(supervisorTexts.tooMuchOutput);
      this.#logged.dropped += bytes.length;
      return;
    }
    this.#logged.bytes += bytes.length;
    this.#log(bytes);
  }

  /** What the disk has no room for is left out: the programs are more important than what they say. */
  #log(bytes: Buffer | string): void {
    try {
      const handle = openSync(this.spec.logFile, 'a');
      try {
        writeSync(handle, typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
      } finally {
        closeSync(handle);
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      this.#logged.dropped += bytes.length;
    }
  }
}

export class AgentNotGoneError extends Error {
  readonly code = 'agent-not-gone';
}

/** The command that starts a program with these limits for it and all its children. */
function limiting(limits: UnitSpec['limits']): readonly string[] {
  if (limits === null) return [];
  return ['/usr/bin/prlimit', `--nproc=${limits.processes}`, `--nofile=${limits.handles}`];
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
