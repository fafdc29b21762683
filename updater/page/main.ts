#!/usr/bin/env node
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { layoutOf } from '../../protocol/layout.ts';
import { realClock } from '../effects/clock.ts';
import { readFile, readJson } from '../effects/durable.ts';
import { realFiles } from '../effects/files.ts';
import { ArgumentsError, help, passwordLengthMin, readArguments, type ServeArguments } from './arguments.ts';
import { servePage } from './serve.ts';

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const firstSocket = 3;
/** A page that a socket started goes when nobody has looked at it for so long; the socket starts it again. */
const idleMs = 10 * 60_000;
const secretBytesMax = 64 * 1024;
const releaseShape = z.object({ version: z.string() });

function log(line: string): void {
  process.stderr.write(`page: ${line}\n`);
}

/** The version of the slot that this runs from; a checkout has none. */
function version(): string {
  const release = readJson(realFiles, join(import.meta.dirname, 'release.json'), secretBytesMax);
  return release === null ? '0.0.0-dev' : releaseShape.parse(release).version;
}

function secret(path: string): Buffer {
  const bytes = readFile(realFiles, path, secretBytesMax);
  if (bytes === null) throw new ArgumentsError('usage', `${path} does not exist`);
  return bytes;
}

function secrets({ exposed }: ServeArguments) {
  if (exposed === null) return { tls: null, password: null };
  const password = secret(exposed.passwordFile).toString('utf8').trim();
  if (password.length < passwordLengthMin) {
    throw new ArgumentsError(
      'password-too-short',
      `${exposed.passwordFile}: ${passwordLengthMin} characters are needed`,
    );
  }
  return { tls: { key: secret(exposed.tlsKey), cert: secret(exposed.tlsCert) }, password };
}

async function serve(order: ServeArguments): Promise<void> {
  const isSocketGiven = process.env.LISTEN_FDS === '1' && process.env.LISTEN_PID === String(process.pid);
  let idle: NodeJS.Timeout | undefined;
  const onRequest = (): void => {
    if (!isSocketGiven) return;
    clearTimeout(idle);
    idle = setTimeout(stop, idleMs);
  };
  const page = await servePage({
    layout: layoutOf(order.root),
    effects: { files: realFiles, clock: realClock, newId: randomUUID, log },
    listen: isSocketGiven ? { fd: firstSocket } : { host: order.host, port: order.port },
    names: order.names,
    ...secrets(order),
    onRequest,
  });
  function stop(): void {
    void page.stop().then(() => process.exit(0));
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  onRequest();
  const host = order.host.includes(':') ? `[${order.host}]` : order.host;
  const url = `${page.scheme}://${host}:${page.port}/`;
  process.stdout.write(order.json ? `${JSON.stringify({ url })}\n` : `field page: ${url}\n`);
}

/** @returns the exit status, or null while the page runs */
async function main(args: readonly string[]): Promise<number | null> {
  try {
    const order = readArguments(args);
    if (order.kind === 'serve') {
      await serve(order);
      return null;
    }
    process.stdout.write(order.kind === 'help' ? help : `${version()}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(`${error.message} (${String(error.code)})`);
    return error instanceof ArgumentsError ? 64 : 1;
  }
}

const status = await main(process.argv.slice(2));
if (status !== null) process.exitCode = status;
