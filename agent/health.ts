import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { type HealthAnswerInput, healthTimeoutMs } from '../protocol/health.ts';
import { AgentError } from './errors.ts';
import { agentTexts } from './texts.ts';

/** sun_path of unix(7) has 108 bytes, one of them for the final zero. */
const socketPathBytesMax = 107;
/** The updater, and a person with a tool; further connections at once do not ask for health. */
const connectionsMax = 8;

/** Answers each connection with one JSON object and the end of the stream. It reads nothing and counts nothing. */
export class HealthSocket {
  readonly #path: string;
  readonly #answer: () => HealthAnswerInput;
  readonly #server: Server;

  constructor(path: string, answer: () => HealthAnswerInput) {
    this.#path = path;
    this.#answer = answer;
    this.#server = createServer((socket) => {
      // Who hangs up, or takes nothing, harms only its own connection.
      socket.on('error', () => socket.destroy());
      socket.setTimeout(healthTimeoutMs, () => socket.destroy());
      socket.end(JSON.stringify(this.#answer()));
      socket.resume();
    });
    this.#server.maxConnections = connectionsMax;
  }

  /** @throws AgentError `socket-path-too-long` */
  async open(): Promise<void> {
    const bytes = Buffer.byteLength(this.#path);
    if (bytes > socketPathBytesMax) {
      throw new AgentError(
        'socket-path-too-long',
        agentTexts.socketPathTooLong(this.#path, bytes, socketPathBytesMax),
        agentTexts.socketPathTooLongNext,
      );
    }
    await mkdir(dirname(this.#path), { recursive: true });
    // A killed process leaves its socket behind. The directory is the agent's own: nothing else belongs there.
    await rm(this.#path, { recursive: true, force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    await chmod(this.#path, 0o660);
  }

  /** Takes no more connections and removes the socket; open connections end by themselves or by their timeout. */
  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
