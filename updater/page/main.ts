#!/usr/bin/env node
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { certificateTrouble, whyNoPair } from '../../protocol/certificate.ts';
import { exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { inOneLine, printable } from '../../protocol/printable.ts';
import { systemProblem } from '../../protocol/system-problem.ts';
import { hearUnwritten } from '../../protocol/unwritten-output.ts';
import { realClock } from '../effects/clock.ts';
import { readFile, readJson } from '../effects/durable.ts';
import { realFiles } from '../effects/files.ts';
import { helpTexts, pageTexts } from '../words/texts.ts';
import { ArgumentsError, help, passwordLengthMin, readArguments, type ServeArguments } from './arguments.ts';
import { type RunningPage, servePage } from './serve.ts';

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const firstSocket = 3;
/** A page that a socket started ends when nobody has looked at it for this long; the socket starts it again. */
const idleMs = 10 * 60_000;
const secretBytesMax = 64 * 1024;
const releaseShape = z.object({ version: z.string() });

function log(line: string): void {
  process.stderr.write(printable(`page: ${inOneLine(line)}\n`));
}

/** The version of the slot that this runs from; in a checkout, that of the package. */
function version(): string {
  const at = (path: string) => readJson(realFiles, join(import.meta.dirname, path), secretBytesMax);
  return releaseShape.parse(at('release.json') ?? at('../../package.json')).version;
}

function secret(path: string): Buffer {
  const bytes = readFile(realFiles, path, secretBytesMax);
  if (bytes === null) throw new ArgumentsError('usage', pageTexts.doesNotExist(path));
  return bytes;
}

/** A renewed certificate is served at the latest after this time. */
const lookAtCertificateMs = 60_000;

/** @throws ArgumentsError `tls-invalid` */
function tlsOf(exposed: NonNullable<ServeArguments['exposed']>): { key: Buffer; cert: Buffer } {
  const tls = { key: secret(exposed.tlsKey), cert: secret(exposed.tlsCert) };
  const why = whyNoPair(tls.cert, tls.key);
  if (why === null) return tls;
  throw new ArgumentsError('tls-invalid', pageTexts.certificateUnusable(exposed.tlsCert, exposed.tlsKey, why));
}

/**
 * The two files are replaced one after the other; while they do not match, they are read again later.
 * @returns a function that looks now
 */
function keepRenewed(page: RunningPage, exposed: NonNullable<ServeArguments['exposed']>): () => void {
  let served = tlsOf(exposed);
  const tell = (): void => {
    const trouble = certificateTrouble(served.cert, realClock.wallS() * 1000);
    if (trouble !== null) log(trouble);
  };
  tell();
  const look = (): void => {
    try {
      const now = tlsOf(exposed);
      if (now.cert.equals(served.cert) && now.key.equals(served.key)) return;
      served = now;
      page.renew(served);
      log(pageTexts.certificateRenewed);
      tell();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      log(pageTexts.certificateKept(error.message));
    }
  };
  setInterval(look, lookAtCertificateMs).unref();
  return look;
}

function secrets({ exposed }: ServeArguments) {
  if (exposed === null) return { tls: null, password: null };
  const password = secret(exposed.passwordFile).toString('utf8').trim();
  if (password.length < passwordLengthMin) {
    throw new ArgumentsError('password-too-short', pageTexts.passwordTooShort(exposed.passwordFile, passwordLengthMin));
  }
  return { tls: tlsOf(exposed), password };
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
  const look = order.exposed === null ? stop : keepRenewed(page, order.exposed);
  // From a terminal that goes away: nobody sees this page any more. From a supervisor: it asks to load renewed files.
  process.on('SIGHUP', process.stdin.isTTY ? stop : look);
  onRequest();
  const host = order.host.includes(':') ? `[${order.host}]` : order.host;
  const url = `${page.scheme}://${host}:${page.port}/`;
  process.stdout.write(printable(order.json ? `${JSON.stringify({ url })}\n` : pageTexts.listens(url)));
}

function wordsOf(error: Error & { code: unknown }): { readonly code: string; readonly message: string } {
  return { code: String(error.code), message: error.message };
}

const nextSteps: Readonly<Record<string, string>> = {
  EACCES: pageTexts.rightUser,
  EPERM: pageTexts.rightUser,
  EADDRINUSE: pageTexts.portTaken,
};

/** @returns the exit status, or null while the page runs */
async function main(args: readonly string[]): Promise<number | null> {
  try {
    const order = readArguments(args);
    if (order.kind === 'serve') {
      await serve(order);
      return null;
    }
    process.stdout.write(printable(order.kind === 'help' ? help : `${version()}\n`));
    return 0;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const { code, message, next } = systemProblem(error) ?? { ...wordsOf(error), next: null };
    const step = nextSteps[String(error.code)] ?? next;
    if (args.includes('--json')) {
      const problem = { code, message, next: step ?? helpTexts.tryHelp('holdfast-updater page --help') };
      process.stderr.write(printable(`${JSON.stringify(problem)}\n`));
    } else log(`${message} (${code})${step === null ? '' : `; ${step}`}`);
    return error instanceof ArgumentsError ? exitUsage : exitFailed;
  }
}

// It goes on serving: a technician needs the page, and not its first line.
hearUnwritten(
  process.stdout,
  ({ code, message, next }) => log(`${message} (${code}); ${next}`),
  () => process.once('exit', () => Object.assign(process, { exitCode: exitFailed })),
);

const words = process.argv.slice(2);
// `holdfast-updater page` starts it with its own name in front.
const status = await main(words[0] === 'page' ? words.slice(1) : words);
if (status !== null) process.exitCode = status;
