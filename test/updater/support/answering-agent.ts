import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { HealthAnswer, Start } from '../../../protocol/health.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { launchSchema } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { rewriteRecord } from '../../../updater/record/record-store.ts';
import { digestOf, stateIn } from './states.ts';

/** A nonce that is easy to tell from another. */
export const nonceOf = (letter: string) => letter.repeat(64);

/** What answers on a real socket in the agent's place; the test says what, at each question. */
export class AnsweringAgent {
  readonly #layout: Layout;
  #server: Server | null = null;
  answers: () => Partial<HealthAnswer> = () => ({});
  nonce = nonceOf('a');
  version: string;
  progress = 0;
  /** How often somebody asked. */
  asked = 0;

  constructor(layout: Layout, version: string) {
    this.#layout = layout;
    this.version = version;
  }

  /** As launch leaves it: the newest start, and all that it counted. */
  launched(nonce: string, boots: readonly string[]): void {
    this.nonce = nonce;
    const directory = this.#layout.launchedComponent('app');
    mkdirSync(directory, { recursive: true });
    const { agent: stateDir, launchRecords, updater } = this.#layout;
    const start: Start = { nonce, slot: '2', manifest: digestOf('c'), version: this.version, stateDir };
    writeFileSync(join(directory, 'start.json'), JSON.stringify(start));
    const starts = boots.map((boot, i) => ({ boot, n: i + 1 }));
    const body = { app: { tx: stateIn('trial').lastTx, slot: '2', starts }, updater: null };
    rewriteRecord(realFiles, launchRecords, updater, launchSchema, body);
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      this.asked += 1;
      socket.end(JSON.stringify(this.#answer()));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#layout.agentSocket, resolve));
    onTestFinished(() => this.die());
  }

  die(): void {
    this.#server?.close();
    this.#server = null;
    rmSync(this.#layout.agentSocket, { force: true });
  }

  #answer(): HealthAnswer {
    return {
      proto: 1,
      nonce: this.nonce,
      version: this.version,
      progress: this.progress,
      state: { schema: 1, migrated: true },
      checks: { disk: 'ok' },
      server: 'ok',
      inhibit: null,
      ...this.answers(),
    };
  }
}
