import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ApplianceBox, type BoxOptions } from './appliance-box.ts';
import { Builder, type Built } from './builder.ts';
import { ServerBox } from './server-box.ts';

export const updaterVersion = '1.0.0';

/** A server, a release engineer and any number of appliances, all real processes below one directory. */
export class World {
  readonly dir: string;
  readonly logs: string;
  readonly os: string;
  readonly server: ServerBox;
  readonly builder: Builder;
  readonly appliances: ApplianceBox[] = [];

  /** @param runtime the Node binary that releases ship */
  constructor(dir: string, runtime: string) {
    this.dir = dir;
    this.logs = join(dir, 'logs');
    this.os = join(dir, 'os');
    mkdirSync(this.logs, { recursive: true });
    // The agent's own user must be able to get to its slot.
    chmodSync(dir, 0o755);
    this.server = new ServerBox(join(dir, 'server'), join(this.logs, 'server.log'));
    this.builder = new Builder(join(dir, 'releases'), this.server.publicKeys, runtime);
  }

  /** Server up, factory releases built and published, the operating system's part emitted. */
  async found(factoryVersion: string, paceS = 1, port = 0, publicUrls: readonly string[] = []): Promise<void> {
    await this.server.start(port, paceS, publicUrls);
    const app = await this.builder.app(factoryVersion);
    const updater = await this.builder.updater(updaterVersion);
    // Each carries all that was signed before it, so they are published in the order of their making.
    await this.publish(app, updater);
    await this.builder.os(this.os, updaterVersion, [app, updater]);
  }

  async publish(...bundles: readonly Built[]): Promise<void> {
    for (const bundle of bundles) await this.server.publish(bundle.path);
  }

  /** @param server where the appliance finds its server, when that is not where it is */
  async addAppliance(name: string, options: Partial<BoxOptions> = {}, server = this.server.url): Promise<ApplianceBox> {
    const root = join(this.dir, name);
    const box = new ApplianceBox({
      name,
      root,
      os: this.os,
      logs: this.logs,
      // Requests, hints and ends of the agent start an updater at once; each start costs a third of a second of a processor.
      timerMs: 20_000,
      pagePort: null,
      ...options,
    });
    this.appliances.push(box);
    await box.setUp(server, await this.server.claim(name, 'harbour'));
    return box;
  }

  /** Ends every process that this world started. */
  async end(): Promise<void> {
    await Promise.all(this.appliances.map((box) => box.powerOff()));
    await Promise.all(this.appliances.map((box) => box.pullThePlug()));
    await this.server.stop();
  }
}
