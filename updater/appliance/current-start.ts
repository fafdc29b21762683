import { startShape } from '../../protocol/health.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';

const startBytesMax = 16 * 1024;

/** The nonce of the newest start, from what launch left. */
export function currentNonce(files: Files, layout: Layout): string | null {
  const path = `${layout.launchedComponent('app')}/start.json`;
  return readKept(files, path, startBytesMax, startShape)?.nonce ?? null;
}
