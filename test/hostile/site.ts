import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { endWorld, makeWorld, paceS, serves } from '../scenarios/scene.ts';
import { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import type { Attack } from './attack.ts';
import { startOf } from './look.ts';

/** The version before, where a hostile one is on trial, and the one that must get in. */
export const good = '1.0.52';
export const nextRelease = '1.1.0';

/** The tmpfs of run/, as its mount unit has it. */
const runBytes = 16 * 1024 * 1024;

/** How long what an attack does may take to be seen; a loaded machine gets its time. */
const effectWithinMs = 60_000;
/** From the operator's decision to the committed release on the appliance, its trial and a stop of five seconds included. */
export const arrivesWithinMs = 45_000;
/** From the trial's start to the version before that serves again; with the settings below, silence is noticed in 5 s. */
export const revertedWithinMs = 45_000;

const trial = { healthyMs: 2_500, deadlineMs: 25_000 };
const settings = { sampleMs: 200, stallMs: 4_000, answerMs: 5_000, graceMs: 2_000 };

/** One server and one builder for all of these appliances. */
export class Site {
  readonly world = makeWorld();
  readonly #published = new Map<string, Promise<Built>>();
  readonly #images = new Map<string, Promise<string>>();
  readonly #mounts: string[] = [];
  #building: Promise<unknown> = Promise.resolve();

  async found(): Promise<void> {
    if (process.getuid?.() !== 0) throw new Error('these tests need root: each agent is a user of its own');
    await this.world.found(good, paceS);
    await this.world.publish(await this.world.builder.unpatched(nextRelease));
  }

  async end(): Promise<void> {
    await this.world.end();
    for (const mount of this.#mounts.reverse()) await execa('umount', ['--lazy', mount]);
    await endWorld(this.world);
  }

  /** Builds and publishes a version once; one repository signs one release after the other. */
  publish(version: string): Promise<Built> {
    const known = this.#published.get(version);
    if (known !== undefined) return known;
    const built = this.#building.then(async () => {
      const bundle = await this.world.builder.app(version);
      await this.world.publish(bundle);
      return bundle;
    });
    this.#building = built.catch(() => undefined);
    this.#published.set(version, built);
    return built;
  }

  async #imageOf(version: string): Promise<string> {
    const os = `${this.world.os}-${version}`;
    const factory = await this.publish(version);
    await execa('cp', ['-al', this.world.os, os]);
    rmSync(join(os, 'factory', `app-${good}.hfb`));
    await execa('cp', [factory.path, join(os, 'factory', `app-${version}.hfb`)]);
    return os;
  }

  /** An appliance whose agent is this version from the factory on; nothing of it is left afterwards. */
  async withAppliance<T>(
    name: string,
    version: string,
    needs: Pick<Attack, 'disk' | 'settings'>,
    use: (box: ApplianceBox) => Promise<T>,
  ): Promise<T> {
    const box = await this.#appliance(name, version, needs);
    try {
      await box.powerOn();
      return await use(box);
    } finally {
      await box.pullThePlug();
    }
  }

  async #appliance(
    name: string,
    version: string,
    { disk, settings: own }: Pick<Attack, 'disk' | 'settings'>,
  ): Promise<ApplianceBox> {
    const { world } = this;
    const image = version === good ? Promise.resolve(world.os) : (this.#images.get(version) ?? this.#imageOf(version));
    this.#images.set(version, image);
    const box = new ApplianceBox({
      name,
      root: join(world.dir, name),
      os: await image,
      logs: world.logs,
      timerMs: 1_000,
      pagePort: null,
      trial,
      settings: { ...settings, ...own },
    });
    world.appliances.push(box);
    if (disk !== undefined) await this.#mount(box.layout[disk.of], disk.bytes);
    // As on an appliance: what does not outlive a boot is not on the data partition.
    if (disk?.of === 'root') await this.#mount(box.layout.run, runBytes);
    mkdirSync(box.layout.agent, { recursive: true });
    writeFileSync(box.layout.agentSettings, JSON.stringify({ intervalMs: 200, site_name: 'harbour' }));
    const { uid, gid } = box.config.agentUser ?? { uid: 0, gid: 0 };
    chownSync(box.layout.agentSettings, uid, gid);
    await box.setUp(world.server.url, await world.server.claim(name, 'harbour'));
    return box;
  }

  async #mount(path: string, bytes: number): Promise<void> {
    mkdirSync(path, { recursive: true });
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'hostile', path]);
    this.#mounts.push(path);
  }

  /** Seen from outside, of the version that launch started; @throws WaitError when the attack does nothing */
  async proveEffect(box: ApplianceBox, { how, version, tookEffect }: Attack): Promise<true> {
    return until(`${box.options.name} ${how}`, effectWithinMs, async () =>
      startOf(box).version === version && (await tookEffect(box)) ? true : null,
    );
  }

  /** The operator's decision: the server hands this release to this appliance. */
  async assign({ options: { name } }: ApplianceBox, version: string): Promise<void> {
    const answer = z.looseObject({ name: z.literal(name) });
    await this.world.server.api(answer, 'POST', `/api/appliances/${name}/assign`, { version });
  }

  /** Until the appliance has committed a version, by its own word and the server's. @returns how long that took */
  async commits(box: ApplianceBox, version: string, withinMs: number): Promise<number> {
    const startedMs = performance.now();
    const { name } = box.options;
    await until(`${name} commits ${version}`, withinMs, async () => {
      const view = await this.world.server.appliance(name);
      return view.reported.updater.app?.version === version && view.row === 'idle' ? view : null;
    });
    const tookMs = performance.now() - startedMs;
    await serves(box, version);
    return tookMs;
  }

  /** Until the server holds more records of this appliance than before: work goes on, and is acknowledged. */
  async recordsBeyond({ options: { name } }: ApplianceBox, count: number): Promise<void> {
    await until(`${name} reports more records`, effectWithinMs, async () =>
      (await this.world.server.records(name)).length > count ? true : null,
    );
  }
}
