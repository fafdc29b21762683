import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { type Request, requestBytesMax, requestShape } from '../../protocol/request.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import { pageTexts } from '../words/texts.ts';
import type { PageEffects } from './effects.ts';

/** Requests that may wait for the updater at once; more means that somebody presses a button again and again. */
const waitingMax = 8;

export class RequestsError extends Error {
  readonly code = 'requests-full';
}

function namesWaiting(effects: PageEffects, layout: Layout): string[] {
  return effects.files.list(layout.requests).filter((name) => /^[0-9a-f-]{36}\.json$/.test(name));
}

/**
 * The page looks again and again for an answer, and each look knocks at the updater once more, because a run that is
 * just ending does not notice new requests.
 */
export function isWaiting(effects: PageEffects, layout: Layout, id: string): boolean {
  const waits = namesWaiting(effects, layout).includes(`${id}.json`);
  if (waits) effects.files.touch(layout.requests);
  return waits;
}

/**
 * Leaves a request for the updater, complete or not at all.
 * @throws RequestsError when too many wait already; the system's errors when it cannot be written
 */
export function leaveRequest(effects: PageEffects, layout: Layout, request: Request): void {
  if (namesWaiting(effects, layout).length >= waitingMax) {
    throw new RequestsError(pageTexts.requestsWait(waitingMax));
  }
  replaceJson(effects.files, join(layout.requests, `${request.id}.json`), request, 0o600);
}

/** The files that waiting requests name, and for which an upload is still needed. */
export function filesWaitedFor(effects: PageEffects, layout: Layout): Set<string> {
  const files = namesWaiting(effects, layout).map((name) => {
    const parsed = requestShape.safeParse(readJson(effects.files, join(layout.requests, name), requestBytesMax));
    return parsed.success && parsed.data.kind === 'install' ? parsed.data.file : '';
  });
  return new Set(files);
}
