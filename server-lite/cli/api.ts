import { openAsBlob, statSync } from 'node:fs';
import type { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
import { clockWords } from '../../protocol/certificate.ts';
import { problemShape } from '../../protocol/check-in.ts';
import { cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';
import type { Connection } from './connection.ts';

/** The longest wait for an answer; a publication verifies gigabytes. */
const answerMs = 15_000;
const publishMs = 15 * 60_000;

/** The operator API, as the command line uses it. */
export interface Api {
  get<Shape extends z.ZodType>(path: string, shape: Shape): Promise<z.output<Shape>>;
  post<Shape extends z.ZodType>(path: string, body: object, shape: Shape): Promise<z.output<Shape>>;
  /** Streams a file as the body. */
  upload<Shape extends z.ZodType>(path: string, file: string, shape: Shape): Promise<z.output<Shape>>;
}

export function apiOf(connection: Connection): Api {
  const ask = async <Shape extends z.ZodType>(path: string, init: RequestInit, timeoutMs: number, shape: Shape) => {
    const response = await reach(connection, path, init, timeoutMs);
    const body = await bodyOf(response, path);
    if (!response.ok) throw refusalOf(response.status, body);
    const parsed = shape.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new CliError('answer-not-understood', cliTexts.answerUnknown(path), cliTexts.answerUnknownNext, {
      cause: parsed.error,
    });
  };
  return {
    get: (path, shape) => ask(path, {}, answerMs, shape),
    post: (path, body, shape) =>
      ask(
        path,
        { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
        answerMs,
        shape,
      ),
    upload: async (path, file, shape) => {
      const body = await blobOf(file);
      const answer = ask(
        path,
        { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } },
        publishMs,
        shape,
      );
      return answer.catch((cause: unknown) => {
        throw isOfFile(cause)
          ? new CliError('file-unreadable', cliTexts.cutShort(file), cliTexts.cutShortNext, { cause })
          : cause;
      });
    },
  };
}

async function reach(connection: Connection, path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
  const headers = { ...init.headers, authorization: `Bearer ${connection.token}` };
  try {
    return await fetch(addressBelow(connection.url, path), {
      ...init,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    });
  } catch (cause) {
    // The message of fetch is always the same; its cause has the system's words.
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : null;
    const code = why !== null && 'code' in why ? String(why.code) : '';
    const clock = clockWords(`${code} ${why?.message ?? ''}`, Date.now());
    const said = why === null ? '' : ` (${isSystemCode(code) ? code : why.message || cliTexts.noAnswer})`;
    throw new CliError(
      'server-unreachable',
      cliTexts.unreachable(connection.url, said, clock),
      cliTexts.unreachableNext,
      { cause },
    );
  }
}

function isSystemCode(code: string): boolean {
  return /^[A-Z][A-Z0-9_]+$/.test(code);
}

async function bodyOf(response: Response, path: string): Promise<unknown> {
  const text = await response.text().catch((cause: unknown) => {
    throw new CliError('server-unreachable', `${path}: ${cliTexts.cutOff}`, cliTexts.cutOffNext, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError('answer-not-understood', cliTexts.notJson(path, response.status), cliTexts.notJsonNext, {
      cause,
    });
  }
}

function refusalOf(status: number, body: unknown): CliError {
  const problem = problemShape.safeParse(body);
  if (problem.success) return new CliError(problem.data.code, problem.data.message, problem.data.next);
  return new CliError('answer-not-understood', cliTexts.refusedWithout(status));
}

/** Did the file end or change while it was sent? The server has done nothing wrong then. */
function isOfFile(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === 'NotReadableError') return true;
  }
  return false;
}

async function blobOf(file: string): Promise<Blob> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false)
    throw new CliError('not-a-file', cliTexts.notRegular(file), cliTexts.nameBundle);
  try {
    return await openAsBlob(file);
  } catch (cause) {
    throw new CliError('file-unreadable', cliTexts.unreadable(file), cliTexts.checkNameNext, { cause });
  }
}
