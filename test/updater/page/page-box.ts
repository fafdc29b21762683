import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import type { StatusInput } from '../../../protocol/status.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import type { PageEffects } from '../../../updater/page/effects.ts';
import { makePin } from '../../../updater/page/pin.ts';
import { type PageOptions, servePage } from '../../../updater/page/serve.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** A clock that stands until a test moves it. */
export interface StandingClock {
  boot: string;
  monoMs: number;
  wallS: number;
}

/** The status of an appliance on which all is well, written now. */
export function soundStatus(clock: StandingClock): StatusInput {
  return {
    v: 1,
    appliance: 'hf-08002798fd8400112233',
    name: 'till-3',
    server: 'https://fleet.example',
    verdict: { word: 'ok', sentence: '1.0.52 runs and is healthy.' },
    why: '1.0.52 runs and is healthy.',
    row: 'idle',
    slots: [{ component: 'app', slot: '1', role: 'committed', version: '1.0.52', manifest: null }],
    agent: {
      alive: true,
      pid: 7,
      version: '1.0.52',
      checks: {},
      server: 'ok',
      crashes: 0,
      lastExit: null,
      lastOutput: '',
    },
    updater: { version: '0.1.0', isolation: 'users' },
    checkIn: { last: { boot: clock.boot, monoMs: clock.monoMs, wallS: 0 }, error: null, nextInS: 60 },
    desired: null,
    quarantine: [],
    floor: { app: 0, updater: 0 },
    trial: null,
    settings: { trialHealthyMs: 600_000, trialDeadlineMs: 1_800_000, shortened: false },
    transactions: [],
    lastRequest: null,
    wallS: 0,
    at: { boot: clock.boot, monoMs: clock.monoMs },
  };
}

/** An appliance's directories, with the page over them on a real port; everything goes with the test. */
export class PageBox {
  readonly root = mkdtempSync(join(tmpdir(), 'holdfast-page-'));
  readonly layout = layoutOf(this.root);
  readonly clock: StandingClock = { boot: 'boot-1', monoMs: 1_000_000, wallS: 1_770_000_000 };
  readonly logged: string[] = [];
  readonly pin: string;
  files: Files = realFiles;
  port = 0;
  scheme: 'http' | 'https' = 'http';
  stop: () => Promise<void> = () => Promise.resolve();

  constructor() {
    for (const path of [this.layout.run, this.layout.requests, this.layout.page, this.layout.uploads]) mkdirSync(path);
    const { pin, record } = makePin();
    this.pin = pin;
    writeFileSync(this.layout.pin, JSON.stringify(record));
    onTestFinished(async () => {
      await this.stop();
      rmSync(this.root, { recursive: true });
    });
  }

  effects(): PageEffects {
    return {
      files: this.files,
      clock: { monoMs: () => this.clock.monoMs, bootId: () => this.clock.boot, wallS: () => this.clock.wallS },
      newId: randomUUID,
      log: (line) => this.logged.push(line),
    };
  }

  async start(options: Partial<PageOptions> = {}): Promise<void> {
    const page = await servePage({
      layout: this.layout,
      effects: this.effects(),
      listen: { host: '127.0.0.1', port: 0 },
      names: [],
      tls: null,
      password: null,
      onRequest: () => undefined,
      ...options,
    });
    this.port = page.port;
    this.scheme = page.scheme;
    this.stop = page.stop;
  }

  writeStatus(status: unknown): void {
    writeFileSync(this.layout.status, JSON.stringify(status));
  }

  ask({ method = 'GET', path = '/', headers = {}, body }: Ask = {}): Promise<Answer> {
    const start = this.scheme === 'http' ? httpRequest : httpsRequest;
    const options = {
      host: '127.0.0.1',
      port: this.port,
      method,
      path,
      headers,
      rejectUnauthorized: false,
      agent: false,
    };
    return new Promise((resolve, reject) => {
      const request = start(options, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Sends a form of the page, as a program does. */
  post(path: string, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
    const body = new URLSearchParams(fields).toString();
    return this.ask({
      method: 'POST',
      path,
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  }

  /** Sends the form with the file. */
  install(pin: string, file: Buffer | string, boundary = 'x-boundary-x') {
    const part = (head: string, content: Buffer | string) => [
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(content),
      Buffer.from('\r\n'),
    ];
    const body = Buffer.concat([
      ...part('name="pin"', pin),
      ...part('name="file"; filename="../../etc/passwd"\r\ncontent-type: application/octet-stream', file),
      Buffer.from(`--${boundary}--\r\n`),
    ]);
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    return this.ask({ method: 'POST', path: '/install', body, headers });
  }

  requests(): unknown[] {
    return readdirSync(this.layout.requests).map((name) =>
      JSON.parse(readFileSync(join(this.layout.requests, name), 'utf8')),
    );
  }

  uploads(): string[] {
    return readdirSync(this.layout.uploads);
  }

  failures(): unknown {
    return existsSync(this.layout.pinFailures) ? JSON.parse(readFileSync(this.layout.pinFailures, 'utf8')) : null;
  }
}
