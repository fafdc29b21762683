import { startShape } from '../protocol/health.ts';
import type { Layout } from '../protocol/layout.ts';
import { readJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';

const startBytesMax = 16 * 1024;

/** The nonce of the newest start, from what launch left. */
export function currentNonce(files: Files, layout: Layout): string | null {
  const path = `${layout.launchedComponent('app')}/start.json`;
  const parsed = startShape.safeParse(readJson(files, path, startBytesMax));
  return parsed.success ? parsed.data.nonce : null;
}
