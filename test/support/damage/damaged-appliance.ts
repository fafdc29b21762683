import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { type Status, statusShape } from '../../../protocol/status.ts';
import type { ApplianceBox } from '../world/appliance-box.ts';
import type { Built } from '../world/builder.ts';
import { thinRuntime } from '../world/builder.ts';
import { patienceMs, until } from '../world/wait.ts';
import { World } from '../world/world.ts';
import { obedientSupervisor } from './obedient-supervisor.ts';

/** What a disk, a person or a defect can make of a file. */
export const damages = {
  'half a JSON': (path: string) => writeFileSync(path, '{"x'),
  'a megabyte of garbage': (path: string) => writeFileSync(path, Buffer.alloc(1024 * 1024, 'garbage ')),
  nothing: (path: string) => writeFileSync(path, ''),
  'a directory': (path: string) => replaceBy(path, () => mkdirSync(join(path, 'within'), { recursive: true })),
  'a pipe': (path: string) => replaceBy(path, () => execaSync('mkfifo', [path])),
  'a link to another file': (path: string) => replaceBy(path, () => symlinkSync('/etc/passwd', path)),
  'a file that nobody may read': (path: string) => chmodSync(path, 0),
} as const;
export type DamageName = keyof typeof damages;
export const damageNames = Object.keys(damages) as readonly DamageName[];

function replaceBy(path: string, make: () => void): void {
  rmSync(path, { recursive: true });
  make();
}

export interface Ran {
  readonly exitCode: number | undefined;
  readonly out: string;
}

/** An appliance as it lies on the disk after an update, of which each case gets a copy; and the real updater that runs on it. */
export class DamagedAppliances {
  readonly #dir = mkdtempSync(join(tmpdir(), 'hf-damage-'));
  readonly #world = new World(this.#dir, thinRuntime(join(this.#dir, 'thin')));
  readonly #socket = join(this.#dir, 'supervisor.sock');
  #box: ApplianceBox | null = null;
  #supervisor: Server | null = null;
  #cases = 0;
  bundle: Built | null = null;

  /** Sets one up, updates it, and turns it off: nothing of it runs but what a case runs. */
  async make(): Promise<void> {
    await this.#world.found('1.0.49', 0.25);
    this.bundle = await this.#world.builder.app('1.0.52');
    const newest = await this.#world.builder.app('1.0.54');
    this.#supervisor = await obedientSupervisor(this.#socket);
    const trial = { healthyMs: 300, deadlineMs: 20_000 };
    const box = await this.#world.addAppliance('damaged', { timerMs: 3_600_000, trial, settings: { sampleMs: 100 } });
    await box.powerOn();
    await until('it has checked in', patienceMs, async () => (await box.status()).checkIn.last);
    await box.updaterProgram(['install', newest.path]);
    await box.powerOff();
    const { layout } = box;
    const settings = JSON.parse(readFileSync(layout.settings, 'utf8'));
    const processControl = { ...settings.processControl, socket: this.#socket };
    writeFileSync(layout.settings, JSON.stringify({ ...settings, processControl }));
    this.#box = box;
    // What a run notes, each case has before it.
    for (let times = 0; times < 2; times += 1) await this.run(layout);
  }

  async end(): Promise<void> {
    this.#supervisor?.close();
    await this.#world.end();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  get layout(): Layout {
    if (this.#box === null) throw new RangeError('it is not made yet');
    return this.#box.layout;
  }

  /** Every regular file of it, by its path below the root; no link is followed. */
  files(below = ''): string[] {
    const entries = readdirSync(join(this.layout.root, below), { withFileTypes: true });
    return entries.flatMap((entry) => {
      const path = join(below, entry.name);
      if (path === 'run/compiled') return []; // Node's own, and ignored by it when damaged
      if (entry.isDirectory()) return this.files(path);
      return entry.isFile() ? [path] : [];
    });
  }

  /** A copy of its own. Whoever is called with it may do with it as they like; it is gone afterwards. */
  async on<T>(use: (layout: Layout) => Promise<T>): Promise<T> {
    this.#cases += 1;
    const root = join(this.#dir, `case-${this.#cases}`);
    execaSync('cp', ['-a', this.layout.root, root]);
    try {
      return await use(layoutOf(root));
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  async run(layout: Layout): Promise<Ran> {
    const { os } = this.#world;
    const program = [join(os, 'updater', 'main.js'), 'run', '--root', layout.root];
    const { exitCode, stdout, stderr } = await execa(join(os, 'node'), program, { reject: false, timeout: 120_000 });
    return { exitCode, out: `${stdout}\n${stderr}` };
  }

  async say(layout: Layout, words: readonly string[]): Promise<Ran> {
    const { os } = this.#world;
    const program = [join(os, 'updater', 'main.js'), ...words, '--root', layout.root];
    const { exitCode, stdout, stderr } = await execa(join(os, 'node'), program, { reject: false, timeout: 120_000 });
    return { exitCode, out: `${stdout}\n${stderr}` };
  }
}

/** Asks for an install of a file that is not there: the answer says that requests are read. @returns the request's id */
export function askFor(layout: Layout, file: string): string {
  const id = randomUUID();
  mkdirSync(layout.requests, { recursive: true });
  writeFileSync(join(layout.requests, `${id}.json`), JSON.stringify({ v: 1, id, kind: 'install', file }), {
    mode: 0o600,
  });
  return id;
}

export function statusAt(layout: Layout): Status {
  return statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
}
