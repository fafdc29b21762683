import { openAsBlob } from 'node:fs';
import type { z } from 'zod';
import { problemShape } from '../../protocol/check-in.ts';
import { CliError } from './cli-error.ts';
import type { Connection } from './connection.ts';

/** An answer takes no longer; a publication verifies gigabytes. */
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
    throw new CliError(
      'answer-not-understood',
      `${path}: the server answers something that this version does not know`,
      'use the command line that belongs to the server',
      { cause: parsed.error },
    );
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
      return ask(
        path,
        { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } },
        publishMs,
        shape,
      );
    },
  };
}

async function reach(connection: Connection, path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
  const headers = { ...init.headers, authorization: `Bearer ${connection.token}` };
  try {
    return await fetch(`${connection.url}${path}`, {
      ...init,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    });
  } catch (cause) {
    throw new CliError(
      'server-unreachable',
      `${connection.url} does not answer`,
      'is the server running, and is that its address?',
      { cause },
    );
  }
}

async function bodyOf(response: Response, path: string): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError(
      'answer-not-understood',
      `${path}: the answer (${response.status}) is no JSON`,
      'is that the Holdfast server?',
      { cause },
    );
  }
}

function refusalOf(status: number, body: unknown): CliError {
  const problem = problemShape.safeParse(body);
  if (problem.success) return new CliError(problem.data.code, problem.data.message, problem.data.next);
  return new CliError('answer-not-understood', `the server refused with ${status} and did not say why`);
}

async function blobOf(file: string): Promise<Blob> {
  try {
    return await openAsBlob(file);
  } catch (cause) {
    throw new CliError('file-unreadable', `${file} can not be read`, 'check its name', { cause });
  }
}
