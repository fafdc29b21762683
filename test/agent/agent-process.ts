import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { AgentCredentials } from '../../protocol/claim.ts';
import { type HealthAnswer, healthAnswerShape, type Start } from '../../protocol/health.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { generateKeyPair, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { SigningServer } from '../support/signing-server.ts';
import { patienceMs } from '../support/world/wait.ts';

/** Waits for a condition, not for a time; names what it waited for when it does not come. */
export async function until<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
): Promise<NonNullable<Exclude<Value, false>>> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<Exclude<Value, false>>;
    if (performance.now() > endMs) throw new Error(`waited ${patienceMs} ms for: ${what}`);
    await new Promise((wait) => setTimeout(wait, 15));
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

/** One run of an agent as a real process. */
export class AgentRun {
  stdout = '';
  stderr = '';
  ended: Ended | null = null;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    child.on('close', (code, signal) => {
      this.ended = { code, signal };
    });
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  async exit(): Promise<Ended> {
    return until('the agent to exit', () => this.ended);
  }
}

/** A data partition in a temporary directory, set up as launch and setup leave it, and a server that it trusts. */
export class TestAppliance {
  readonly root = mkdtempSync(join(tmpdir(), 'hfa-'));
  readonly layout = layoutOf(this.root);
  readonly id = applianceIdOf(randomBytes(32));
  readonly server: SigningServer;
  readonly runs: AgentRun[] = [];
  readonly #keys = generateKeyPair();
  start: Start = {
    nonce: randomBytes(32).toString('hex'),
    slot: '0',
    manifest: 'ab'.repeat(32),
    version: '9.9.9',
    stateDir: this.layout.agent,
  };

  constructor() {
    this.server = new SigningServer(this.#keys.publicKey);
    for (const directory of [this.layout.agentKeys, this.layout.agentRun, this.layout.launchedComponent('app')]) {
      mkdirSync(directory, { recursive: true });
    }
    writeFileSync(this.layout.hint, '');
    this.settings({ intervalMs: 50 });
    this.writeStart();
  }

  settings(settings: object): void {
    writeFileSync(this.layout.agentSettings, JSON.stringify(settings));
  }

  writeStart(): void {
    writeFileSync(join(this.layout.launchedComponent('app'), 'start.json'), JSON.stringify(this.start));
  }

  writeCredentials(url = this.server.url): void {
    const credentials: AgentCredentials = {
      appliance: this.id,
      url,
      answerKeys: [this.server.answerKeys.publicKey],
      privateKey: privateKeyToPem(this.#keys.privateKey),
    };
    writeFileSync(this.layout.agentCredentials, JSON.stringify(credentials), { mode: 0o600 });
  }

  async startServer(): Promise<void> {
    await this.server.start();
    this.writeCredentials();
  }

  /** @param program the main.ts or main.js to run, the checkout's own by default */
  run(program = resolve('agent/main.ts'), nodeArguments: readonly string[] = []): AgentRun {
    const child = spawn(process.execPath, [...nodeArguments, program, '--root', this.root], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const run = new AgentRun(child);
    this.runs.push(run);
    return run;
  }

  /** What the socket says now; null when nobody answers. */
  async health(): Promise<HealthAnswer | null> {
    const text = await new Promise<string | null>((done) => {
      let received = '';
      const socket = createConnection(this.layout.agentSocket);
      socket.on('data', (chunk) => {
        received += chunk;
      });
      socket.on('error', () => done(null));
      socket.on('end', () => done(received));
    });
    return text === null ? null : healthAnswerShape.parse(JSON.parse(text));
  }

  async healthy(): Promise<HealthAnswer> {
    return until('a health answer', () => (existsSync(this.layout.agentSocket) ? this.health() : null));
  }

  async end(): Promise<void> {
    for (const run of this.runs) if (run.ended === null) run.kill('SIGKILL');
    for (const run of this.runs) await run.exit();
    if (this.server.url !== '') await this.server.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}
