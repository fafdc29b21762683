import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Request } from '../../protocol/request.ts';
import type { Status } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { ageTyped } from '../age-word.ts';
import { type CommandLine, fail, say, usage } from '../command-line.ts';
import { writeNewFile } from '../effects/durable.ts';
import { readSourcesFile } from '../release/sources.ts';
import { readStatus } from './read-status.ts';

/** What asks the updater: a request in run/requests, and the wait for what comes of it. */

export type Wanted = Request extends infer One ? (One extends { kind: string } ? Omit<One, 'v' | 'id'> : never) : never;

/** How long a person's command waits: a request is seen at once, a transaction ends with its trial. */
const seenWithinMs = 30_000;
const endsWithinMs = 45 * 60_000;
const lookEveryMs = 50;

export async function request(line: CommandLine, wanted: Wanted): Promise<number> {
  const { files, layout } = line;
  const id = randomUUID();
  const temporary = join(layout.requests, `${id}.tmp`);
  writeNewFile(files, temporary, Buffer.from(JSON.stringify({ v: 1, id, ...wanted })), 0o600);
  const lastTx = newestLine(readStatus(line))?.tx ?? 0;
  files.rename(temporary, join(layout.requests, `${id}.json`));
  const answered = await waitFor(line, seenWithinMs, (found) => found.lastRequest?.id === id);
  if (answered === null) {
    return fail(
      line,
      'request-not-seen',
      'no updater took the request',
      'Start one: holdfast-updater run; the request is still there.',
    );
  }
  const { lastRequest } = answered;
  if (lastRequest === null || lastRequest.outcome === 'refused') {
    const code = lastRequest?.code ?? 'request-refused';
    return fail(line, code, lastRequest?.text ?? 'refused', 'Nothing was changed.');
  }
  if (lastRequest.outcome === 'done' || !line.options.wait) return say(line, lastRequest.text, lastRequest);
  line.complain(lastRequest.text);
  if (wanted.kind === 'retry') return say(line, lastRequest.text, lastRequest);
  // Idle alone says nothing: the status may still be the one from before the transaction began.
  const ended = await waitFor(line, endsWithinMs, (found) => found.row === 'idle' && hasEnded(found, lastTx));
  if (ended === null)
    return fail(line, 'still-running', 'the transaction has not ended', 'See holdfast-updater status');
  const end = newestLine(ended);
  if (end === undefined || end.outcome === 'committed') return say(line, ended.why, ended);
  if (end.outcome === 'written') return say(line, end.text, ended);
  return fail(line, end.reason ?? wordOf(end.outcome), end.text, `${end.from} runs on.`);
}

function newestLine(status: Status | null): Status['transactions'][number] | undefined {
  return status?.transactions.at(-1);
}

function hasEnded(status: Status, lastTx: number): boolean {
  return (newestLine(status)?.tx ?? 0) > lastTx;
}

async function waitFor(
  line: CommandLine,
  withinMs: number,
  isThere: (found: Status) => boolean,
): Promise<Status | null> {
  const { clock } = line;
  for (const startedMs = clock.monoMs(); clock.monoMs() - startedMs < withinMs; await clock.delay(lookEveryMs)) {
    const found = readStatus(line);
    if (found !== null && isThere(found)) return found;
  }
  return null;
}

/** Back to the version before; with an age named, also where that one can not read today's data. */
export function rollback(line: CommandLine): Promise<number> | number {
  const typed = line.options['data-age'];
  if (typed === undefined) return request(line, { kind: 'rollback' });
  const ageH = ageTyped(typed);
  if (ageH === null) return usage(line, `--data-age needs an age like 7h or 5d, not ${typed}`);
  return request(line, { kind: 'rollback', data: { tx: readStatus(line)?.back?.data?.tx ?? 0, ageH } });
}

/** A person's word, which the updater checks and takes. */
export async function setSources(line: CommandLine, file: string): Promise<number> {
  const given = readSourcesFile(line.files, resolve(file));
  if (given !== null) return request(line, { kind: 'set-sources', sources: given });
  return fail(line, 'sources-invalid', `${file} does not hold sources`, 'See README; nothing was changed.');
}
