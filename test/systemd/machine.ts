import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { type Status, statusShape } from '../../protocol/status.ts';
import { until } from '../support/world/wait.ts';
import { ControlGroups, firstProgram } from './control-groups.ts';

/** A plain Debian, and nothing that Holdfast needs beside systemd. */
const suite = 'bookworm';
const packages = ['systemd', 'systemd-sysv', 'libstdc++6', 'libatomic1'] as const;
const bootsWithinMs = 240_000;
const commandTimeoutMs = 120_000;
/** Numbers of users of its own for each machine: what the kernel counts of a user it counts over all containers. */
const userNumbers = { first: 200, each: 20, machines: 35 } as const;
let machinesMade = process.pid;

/** A root file system by mmdebstrap, made once for all tests of this machine. */
async function plainDebian(): Promise<string> {
  const base = join(tmpdir(), `holdfast-debian-${suite}`);
  if (existsSync(base)) return base;
  const fresh = `${base}.${process.pid}`;
  await execa('mmdebstrap', ['--variant=minbase', `--include=${packages.join(',')}`, suite, fresh]);
  renameSync(fresh, base);
  return base;
}

/** One machine: Debian and systemd in a container, as real as a container can be. Its network is this machine's. */
export class Machine implements AsyncDisposable {
  readonly root: string;
  readonly layout: Layout;
  readonly #log: string;
  readonly #groups: ControlGroups;
  #nspawn: ChildProcess | null = null;
  /** The container's systemd, as this machine numbers it. */
  #leader = 0;

  private constructor(root: string, log: string) {
    this.root = root;
    this.layout = layoutOf(join(root, 'var', 'lib', 'holdfast'));
    this.#log = log;
    this.#groups = new ControlGroups(basename(root));
  }

  static async install(dir: string, name: string): Promise<Machine> {
    const root = join(dir, name);
    await execa('cp', ['-a', '--reflink=auto', await plainDebian(), root]);
    writeFileSync(join(root, 'etc', 'hostname'), `${name}\n`);
    writeFileSync(join(root, 'sbin', 'first'), firstProgram, { mode: 0o755 });
    machinesMade += 1;
    const firstUser = userNumbers.first + (machinesMade % userNumbers.machines) * userNumbers.each;
    mkdirSync(join(root, 'etc', 'sysusers.d'), { recursive: true });
    writeFileSync(
      join(root, 'etc', 'sysusers.d', 'numbers.conf'),
      `r - ${firstUser}-${firstUser + userNumbers.each - 1}\n`,
    );
    const machine = new Machine(root, join(dir, `${name}.log`));
    // A container's boot id is a mount over the kernel's, which a unit with a /proc of its own would not see.
    machine.dropIn('holdfast-updater.service', '[Service]\nProtectKernelTunables=no\nProtectControlGroups=no\n');
    return machine;
  }

  async layOver(tree: string): Promise<void> {
    await execa('cp', ['-a', '--no-preserve=ownership', `${tree}/.`, this.root]);
  }

  /** A file of root's, which nobody else reads. */
  write(path: string, text: string): void {
    writeFileSync(join(this.root, path), text, { mode: 0o600 });
  }

  /** What an administrator adds to a unit. */
  dropIn(unit: string, text: string): void {
    const directory = join(this.root, 'etc', 'systemd', 'system', `${unit}.d`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'test.conf'), text);
  }

  /**
   * From power on to a system that is up.
   * @param capabilities what a real machine's root has and a container's has not
   */
  async boot(...capabilities: readonly string[]): Promise<void> {
    const log = openSync(this.#log, 'a');
    // Links that name programs of the container lead there only inside of it.
    const words = [
      'systemd-nspawn',
      '--quiet',
      '-D',
      this.root,
      '--register=no',
      '--keep-unit',
      '--console=pipe',
      '--resolv-conf=off',
      '--timezone=off',
      ...(capabilities.length > 0 ? [`--capability=${capabilities.join(',')}`] : []),
      '/sbin/first',
    ];
    this.#groups.make();
    const [shell = '', ...all] = this.#groups.within(words);
    const child = spawn(shell, all, { stdio: ['ignore', log, log], detached: true });
    this.#nspawn = child;
    this.#leader = await until('the container has a systemd', bootsWithinMs, () => firstOf(child.pid ?? 0));
    await until('the machine is up', bootsWithinMs, async () => {
      // Not is-system-running: an updater that looks each second is a job that is always there.
      const { stdout } = await this.try(['systemctl', 'is-active', 'multi-user.target']);
      return stdout.trim() === 'active' ? true : null;
    });
  }

  /** The plug: everything of this machine ends at once. */
  async pullThePlug(): Promise<void> {
    const child = this.#nspawn;
    this.#nspawn = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (this.#leader === 0) child.kill('SIGKILL');
      else process.kill(this.#leader, 'SIGKILL');
      await ended;
    }
    this.#leader = 0;
    await this.#groups.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pullThePlug();
    rmSync(this.root, { recursive: true, force: true });
  }

  /** A command within the machine, as root. */
  try(words: readonly string[]) {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', SYSTEMD_PAGER: '' };
    const into = ['--target', String(this.#leader), '--all', '--'];
    return execa('nsenter', [...into, ...words], { env, extendEnv: false, reject: false, timeout: commandTimeoutMs });
  }

  async command(...words: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(words);
    if (exitCode === 0) return stdout;
    throw new Error(`${words.join(' ')} ended with ${exitCode}: ${stderr} ${stdout}`.slice(0, 2_000));
  }

  async property(unit: string, name: string): Promise<string> {
    return (await this.command('systemctl', 'show', '--value', `--property=${name}`, unit)).trim();
  }

  /** The journal of one unit, for a person who looks why a test failed. */
  async journal(unit: string): Promise<string> {
    return this.command('journalctl', '--no-pager', '--quiet', '--output=cat', '--lines=200', `--unit=${unit}`);
  }

  async status(): Promise<Status> {
    return statusShape.parse(JSON.parse(await this.command('holdfast-updater', 'status', '--json')));
  }

  /** The main process of a unit, by its number on this machine; null while it has none. */
  async pidOf(unit: string): Promise<number | null> {
    const inside = await this.property(unit, 'MainPID');
    if (inside === '0') return null;
    return (
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .find((pid) => nsPidsOf(pid).length > 1 && nsPidsOf(pid).at(-1) === inside && isBelow(pid, this.#leader)) ??
      null
    );
  }
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}

function nsPidsOf(pid: number): string[] {
  return /^NSpid:\s+(.*)$/m.exec(readProc(pid, 'status'))?.[1]?.split(/\s+/) ?? [];
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readProc(pid, 'status'))?.[1] ?? 0);
}

function isBelow(pid: number, leader: number): boolean {
  for (let at = pid; at > 1; at = parentOf(at)) if (at === leader) return true;
  return false;
}

/** The first process of the container below it; what only prepares the container is no namespace's first. */
function firstOf(pid: number): number | null {
  const children = readProc(pid, `task/${pid}/children`).trim().split(' ').map(Number);
  return children.find((child) => nsPidsOf(child).length > 1 && nsPidsOf(child).at(-1) === '1') ?? null;
}
