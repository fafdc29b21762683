import { randomUUID } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import { buildBundle, nodeRuntime } from '../../image/bundle.ts';
import type { Repository } from '../../image/repository.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import type { Component } from '../../protocol/component.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { ConnectionLimits } from '../../server-lite/connections/limits.ts';
import { type FreeSpace, freeSpaceAt } from '../../server-lite/disk-space.ts';
import { type AskedListen, listenPolicy } from '../../server-lite/listen-policy.ts';
import {
  type ApplianceView,
  applianceViewShape,
  type OrderView,
  orderViewShape,
  type RolloutView,
  rolloutViewShape,
  type ServerView,
  serverViewShape,
} from '../../server-lite/operator/shapes.ts';
import { type RunningServer, startServer } from '../../server-lite/server.ts';
import { builtAtMs } from '../../server-lite/version.ts';
import { ApplianceClient } from './appliance-client.ts';
import { newRepository } from './new-repository.ts';

export interface BuiltBundle {
  readonly path: string;
  readonly manifest: string;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Real time, and what a test adds to it. */
export interface ShiftedClock {
  /** Time that has passed. */
  aheadMs: number;
  /** What the machine's clock is wrong by, beside that. */
  wrongMs: number;
  readonly nowMs: () => number;
  readonly monoMs: () => number;
}

function shiftedClock(): ShiftedClock {
  const clock = {
    aheadMs: 0,
    wrongMs: 0,
    nowMs: () => Date.now() + clock.aheadMs + clock.wrongMs,
    monoMs: () => performance.now() + clock.aheadMs,
  };
  return clock;
}

const claimShape = z.object({ claim: z.string() });

/** A real server on a port of its own, in a directory of its own, with an operator's repository beside it. */
export class TestServer implements AsyncDisposable {
  readonly directory: string;
  readonly clock = shiftedClock();
  readonly log: string[] = [];
  /** What the disk has free, in the place of what it really has. */
  free: FreeSpace | null = null;
  token = '';
  #running: RunningServer | null = null;
  #repository: Repository | null = null;

  readonly #publicUrls: readonly string[];
  readonly #listen: Partial<AskedListen>;
  /** How long a request waits for another process that holds the database, for the next run. */
  lockWaitMs: number | null = null;
  /** However slow this machine is, a look costs nothing worth sparing, unless a test says so. */
  dearLookMs = Number.POSITIVE_INFINITY;
  /** What connections may take, for the next run. */
  connections: Partial<ConnectionLimits> = {};

  private constructor(directory: string, publicUrls: readonly string[], listen: Partial<AskedListen>) {
    this.directory = directory;
    this.#publicUrls = publicUrls;
    this.#listen = listen;
  }

  /**
   * @param publicUrls the names that it goes by beside the one of loopback
   * @param listen what else its command line says of that
   */
  static async start(
    publicUrls: readonly string[] = [],
    listen: Partial<AskedListen> = {},
    connections: Partial<ConnectionLimits> = {},
  ): Promise<TestServer> {
    const bench = new TestServer(await mkdtemp(join(tmpdir(), 'hf-server-')), publicUrls, listen);
    bench.connections = connections;
    await bench.run();
    return bench;
  }

  async run(): Promise<void> {
    this.#running = await startServer({
      data: this.data,
      paceS: 1,
      listen: listenPolicy({
        host: '127.0.0.1',
        port: 0,
        tls: null,
        publicUrls: this.#publicUrls,
        // What a test looks at, it looks at here.
        openToThisHost: this.#publicUrls.length === 0,
        ...this.#listen,
      }),
      nowMs: this.clock.nowMs,
      monoMs: this.clock.monoMs,
      processMs: () => performance.now(),
      connections: this.connections,
      dearLookMs: this.dearLookMs,
      ...(this.lockWaitMs === null ? {} : { lockWaitMs: this.lockWaitMs }),
      builtAtMs: builtAtMs(),
      freeAt: (path) => this.free ?? freeSpaceAt(path),
      log: pino({}, { write: (line: string) => void this.log.push(line) }),
    });
    this.token = this.#running.token ?? this.token;
    this.#running.tokenWasShown();
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = null;
  }

  get running(): RunningServer {
    if (this.#running === null) throw new Error('the server is stopped');
    return this.#running;
  }

  get url(): string {
    return this.running.url;
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  /** A request to the operator API with the token, or with other headers. */
  async api(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(headers ?? { authorization: `Bearer ${this.token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  }

  async claim(name: string, site = 'Hall 3'): Promise<string> {
    const answer = await this.api('POST', '/api/claims', { name, site });
    return claimShape.parse(answer.body).claim;
  }

  /** An appliance that is not enrolled, but knows its server's key. */
  async client(): Promise<ApplianceClient> {
    const { answer } = await readServerKeys(join(this.data, 'public-keys.json'));
    return new ApplianceClient(this.url, [answer]);
  }

  /** An appliance that is enrolled and has said once what it has. */
  async appliance(name: string, version = '1.0.49'): Promise<ApplianceClient> {
    const client = await this.client();
    await client.enrolled(await this.claim(name));
    client.have = { app: { version, slot: '0' } };
    return client;
  }

  /** The same appliance, to the address that the server has now. */
  async reconnected(client: ApplianceClient): Promise<ApplianceClient> {
    const { keys, seq, numbers, have } = client;
    return Object.assign(await this.client(), { keys, seq, numbers, have });
  }

  /** A copy of a stopped server's database. */
  async copyDatabase(): Promise<string> {
    const copy = join(this.directory, `copy-${randomUUID()}.db`);
    await cp(join(this.data, 'server.db'), copy);
    return copy;
  }

  async putDatabaseBack(copy: string): Promise<void> {
    for (const end of ['', '-wal', '-shm']) await rm(join(this.data, `server.db${end}`), { force: true });
    await cp(copy, join(this.data, 'server.db'));
  }

  async show(name: string): Promise<ApplianceView> {
    return applianceViewShape.parse((await this.api('GET', `/api/appliances/${encodeURIComponent(name)}`)).body);
  }

  async sendOrder(appliance: string, kind: string, more: object = {}): Promise<OrderView> {
    return orderViewShape.parse((await this.api('POST', '/api/orders', { appliance, kind, ...more })).body);
  }

  /** What an operator must know of the server itself. */
  async server(): Promise<ServerView> {
    return serverViewShape.parse((await this.api('GET', '/api/server')).body);
  }

  async order(id: string): Promise<OrderView> {
    return orderViewShape.parse((await this.api('GET', `/api/orders/${id}`)).body);
  }

  async rollOut(version: string, canaries: readonly string[] = []): Promise<RolloutView> {
    return rolloutViewShape.parse((await this.api('POST', '/api/rollouts', { version, canaries })).body);
  }

  async rollout(id: number): Promise<RolloutView> {
    return rolloutViewShape.parse((await this.api('GET', `/api/rollouts/${id}`)).body);
  }

  /** The operator's own repository, made for this server's keys. */
  async repository(): Promise<Repository> {
    const serverKeys = await readServerKeys(join(this.data, 'public-keys.json'));
    this.#repository ??= await newRepository({
      dir: join(this.directory, 'repository'),
      serverKeys,
      now: () => new Date(Date.now() + this.clock.aheadMs),
    });
    return this.#repository;
  }

  async build(version: string, component: Component = 'app', repository?: Repository): Promise<BuiltBundle> {
    const payloadDir = join(this.directory, `payload-${component}-${version}`);
    await mkdir(payloadDir, { recursive: true });
    const node = join(this.directory, 'node');
    await writeFile(node, '#!/bin/false\n');
    await writeFile(join(payloadDir, 'main.js'), `// ${component} ${version}\n${'x'.repeat(200_000)}\n`);
    return buildBundle({
      payload: {
        kind: 'tree',
        dir: payloadDir,
        entry: 'main.js',
        runtime: component === 'app' ? nodeRuntime(node) : null,
      },
      component,
      version,
      securityVersion: 0,
      compatibility: { state: { reads: { min: 1, max: 1 }, writes: 1 } },
      stateBytesMax: 1_000_000,
      source: { commit: 'test', builtBy: 'test' },
      sbom: sha256(''),
      repository: repository ?? (await this.repository()),
      outDir: join(this.directory, 'out'),
    });
  }

  async upload(path: string, run: 'real' | 'dry' = 'real'): Promise<Answer> {
    const response = await fetch(`${this.url}/api/releases?run=${run}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', authorization: `Bearer ${this.token}` },
      body: await openAsBlob(path),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Builds and publishes; what this answers is the manifest's digest. */
  async publish(version: string, component: Component = 'app'): Promise<string> {
    const built = await this.build(version, component);
    const answer = await this.upload(built.path);
    if (answer.status !== 201) throw new Error(`publish ${version}: ${JSON.stringify(answer.body)}`);
    return built.manifest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
