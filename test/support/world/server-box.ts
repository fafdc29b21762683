import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { z } from 'zod';
import {
  type ApplianceView,
  applianceListShape,
  claimAnswerShape,
  eventViewShape,
  type OrderView,
  orderListShape,
  orderViewShape,
  type RolloutView,
  recordViewShape,
  rolloutListShape,
  rolloutViewShape,
} from '../../../server-lite/operator/shapes.ts';
import { checkout } from './checkout.ts';

const listeningShape = z.object({
  event: z.literal('listening'),
  url: z.string(),
  pid: z.int(),
  token: z.string().optional(),
});

/** A real server process, and the operator's view of it over HTTP. */
export class ServerBox {
  readonly dir: string;
  readonly #log: string;
  #child: ChildProcess | null = null;
  #token = '';
  url = '';

  constructor(dir: string, log: string) {
    this.dir = dir;
    this.#log = log;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get token(): string {
    return this.#token;
  }

  get tokenFile(): string {
    return join(this.dir, 'token');
  }

  get publicKeys(): string {
    return join(this.dir, 'public-keys.json');
  }

  /** @param port 0 on the first start; the same again afterwards, so that appliances find it */
  async start(port = 0, paceS = 1, publicUrls: readonly string[] = []): Promise<void> {
    const log = openSync(this.#log, 'a');
    const args = [
      'serve',
      '--data',
      this.dir,
      '--port',
      String(port),
      '--pace-s',
      String(paceS),
      '--token-file',
      this.tokenFile,
      '--json',
      // What a person looks at in a world of one machine is looked at there.
      ...(publicUrls.length === 0 ? ['--open-to-this-host'] : []),
      ...publicUrls.flatMap((url) => ['--public-url', url]),
    ];
    const child = spawn(process.execPath, [join(checkout, 'server-lite', 'main.ts'), ...args], {
      stdio: ['ignore', 'pipe', log],
      detached: true,
    });
    this.#child = child;
    const line = await firstLine(child);
    const listening = listeningShape.parse(JSON.parse(line));
    this.url = listening.url;
    this.#token = listening.token ?? readFileSync(this.tokenFile, 'utf8').trim();
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async api<T>(shape: z.ZodType<T>, method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
    return shape.parse(JSON.parse(text));
  }

  async appliance(name: string): Promise<ApplianceView> {
    const found = (await this.appliances()).find((one) => one.name === name);
    if (found === undefined) throw new Error(`the server knows no ${name}`);
    return found;
  }

  async appliances(): Promise<ApplianceView[]> {
    return (await this.api(applianceListShape, 'GET', '/api/appliances')).appliances;
  }

  async orders(): Promise<OrderView[]> {
    return (await this.api(orderListShape, 'GET', '/api/orders')).orders;
  }

  order(id: string): Promise<OrderView> {
    return this.api(orderViewShape, 'GET', `/api/orders/${id}`);
  }

  sendOrder(appliance: string, kind: string, args: Record<string, string> = {}): Promise<OrderView> {
    return this.api(orderViewShape, 'POST', '/api/orders', { appliance, kind, args });
  }

  async rollouts(): Promise<RolloutView[]> {
    return (await this.api(rolloutListShape, 'GET', '/api/rollouts')).rollouts;
  }

  startRollout(version: string, canaries: readonly string[] = []): Promise<RolloutView> {
    return this.api(rolloutViewShape, 'POST', '/api/rollouts', { version, canaries });
  }

  async events(appliance: string, kind?: string): Promise<z.infer<typeof eventViewShape>[]> {
    const all: z.infer<typeof eventViewShape>[] = [];
    for (let before: string | null = ''; before !== null; ) {
      const after = before === '' ? {} : { before };
      const query = new URLSearchParams({ appliance, limit: '500', ...after, ...(kind === undefined ? {} : { kind }) });
      const shape = z.object({ events: z.array(eventViewShape) });
      const { events } = await this.api(shape, 'GET', `/api/events?${query}`);
      all.push(...events);
      const last = events.at(-1);
      before = last === undefined ? null : String(last.serial);
    }
    return all;
  }

  async records(appliance: string): Promise<z.infer<typeof recordViewShape>[]> {
    const shape = z.object({ records: z.array(recordViewShape) });
    return (await this.api(shape, 'GET', `/api/appliances/${encodeURIComponent(appliance)}/records`)).records;
  }

  async claim(name: string, site: string): Promise<string> {
    return (await this.api(claimAnswerShape, 'POST', '/api/claims', { name, site })).claim;
  }

  /** Uploads a bundle, as `holdfast release publish` does. */
  async publish(file: string): Promise<void> {
    const body = Readable.toWeb(createReadStream(file));
    const answer = await fetch(`${this.url}/api/releases`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/octet-stream' },
      // biome-ignore lint/suspicious/noExplicitAny: undici's option for a streamed body is not in the type of fetch
      ...({ body, duplex: 'half' } as any),
    });
    if (!answer.ok) throw new Error(`publish ${file}: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (child.stdout === null) throw new TypeError('the child has no standard output');
    const lines = createInterface({ input: child.stdout });
    lines.once('line', resolve);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code} before it listened`)));
  });
}
