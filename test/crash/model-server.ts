import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type CheckInAnswerInput, checkInPath } from '../../protocol/check-in.ts';
import type { Digest } from '../../protocol/digest.ts';
import { privateKeyFromPem } from '../../protocol/trust/ed25519.ts';
import { signAnswer } from '../../protocol/trust/http-signature.ts';
import type { Http } from '../../updater/effects/http.ts';
import { HttpError } from '../../updater/effects/http-error.ts';
import type { HttpHead, HttpRequest } from '../../updater/effects/http-request.ts';
import { startDigest } from '../../updater/launch/count.ts';
import type { ModelAgent } from './model-agent.ts';

/** What a server has for an appliance. It can be copied from thread to thread. */
export interface Served {
  /** PEM of the server's answer key. */
  readonly answerKey: string;
  /** Files below `/releases/`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly wants: { readonly component: 'app' | 'updater'; readonly version: string; readonly manifest: Digest };
}

/** Everything that a fixture published. */
export function servedFiles(servedDir: string): Map<string, Uint8Array> {
  const names = readdirSync(servedDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(servedDir.length + 1), readFileSync(path)] as const;
    }),
  );
}

export const nobody: Http = {
  fetch: () => Promise.reject(new HttpError('unreachable', 'there is no network')),
  stream: () => Promise.reject(new HttpError('unreachable', 'there is no network')),
};

const eventsShape = z.object({ events: z.array(z.object({ n: z.int() })).default([]) });

/**
 * A server without a socket: it answers check-ins, wants one release for ever, has seen twice whatever start of the
 * agent lives, and hands out what was published, in ranges.
 */
export function modelServer({ answerKey, files, wants }: Served, agent: () => ModelAgent | null): Http {
  const key = privateKeyFromPem(answerKey);
  const checkIn = (request: HttpRequest): { head: HttpHead; body: Buffer } => {
    const { events } = eventsShape.parse(JSON.parse(request.body?.toString('utf8') ?? '{}'));
    const start = agent()?.start ?? null;
    const seen = start === null ? {} : { [startDigest(start.nonce)]: { version: start.version, checkIns: 2 } };
    const answer: CheckInAnswerInput = {
      etag: 'one',
      issuedAt: 1_780_000_000,
      epoch: 'one',
      nextInS: 1,
      ackUpto: Math.max(0, ...events.map(({ n }) => n)),
      orders: [],
      desired: { release: wants, path: '/releases', openForS: 3_600, reasons: [] },
      seen,
    };
    const body = Buffer.from(JSON.stringify(answer));
    const signature = request.headers?.signature ?? '';
    const head = signAnswer({ status: 200, body }, { method: 'POST', path: checkInPath }, signature, key);
    return { head: { status: 200, headers: { ...head } }, body };
  };
  const file = (request: HttpRequest): { head: HttpHead; body: Buffer } => {
    const path = new URL(request.url).pathname.replace(/^\/releases\//, '');
    const found = files.get(path);
    if (found === undefined) return { head: { status: 404, headers: {} }, body: Buffer.alloc(0) };
    const whole = Buffer.from(found.buffer, found.byteOffset, found.byteLength);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers?.range ?? '');
    if (range === null) return { head: { status: 200, headers: { 'content-length': `${whole.length}` } }, body: whole };
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), whole.length - 1)];
    const body = whole.subarray(from, to + 1);
    const headers = { 'content-length': `${body.length}`, 'content-range': `bytes ${from}-${to}/${whole.length}` };
    return { head: { status: 206, headers }, body };
  };
  const answer = (request: HttpRequest) =>
    new URL(request.url).pathname === checkInPath ? checkIn(request) : file(request);
  return {
    fetch: (request) => {
      const { head, body } = answer(request);
      return Promise.resolve({ ...head, body });
    },
    stream: (request, consume) => {
      const { head, body } = answer(request);
      const parts = async function* () {
        yield body;
      };
      return consume({ ...head, body: parts() });
    },
  };
}
