import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { type Request, requestBytesMax, requestShape } from '../../protocol/request.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { PageEffects } from './effects.ts';

/** Requests that may wait for the updater at once; more is somebody pressing a button again and again. */
const waitingMax = 8;

export class RequestsError extends Error {
  readonly code = 'requests-full';
}

function namesWaiting(effects: PageEffects, layout: Layout): string[] {
  return effects.files.list(layout.requests).filter((name) => /^[0-9a-f-]{36}\.json$/.test(name));
}

export function isWaiting(effects: PageEffects, layout: Layout, id: string): boolean {
  return namesWaiting(effects, layout).includes(`${id}.json`);
}

/**
 * Leaves a request where the updater finds it, whole or not at all.
 * @throws RequestsError when too many wait already; the system's errors when it can not be written
 */
export function leaveRequest(effects: PageEffects, layout: Layout, request: Request): void {
  if (namesWaiting(effects, layout).length >= waitingMax) {
    throw new RequestsError(`${waitingMax} requests wait for the updater already`);
  }
  replaceJson(effects.files, join(layout.requests, `${request.id}.json`), request, 0o600);
}

/** The files that waiting requests name: what an upload is still needed for. */
export function filesWaitedFor(effects: PageEffects, layout: Layout): Set<string> {
  const files = namesWaiting(effects, layout).map((name) => {
    const parsed = requestShape.safeParse(readJson(effects.files, join(layout.requests, name), requestBytesMax));
    return parsed.success && parsed.data.kind === 'install' ? parsed.data.file : '';
  });
  return new Set(files);
}
