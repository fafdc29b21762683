import { join, resolve } from 'node:path';
import { type Start, startShape } from '../protocol/health.ts';
import type { Layout } from '../protocol/layout.ts';
import type { AgentFiles } from './effects/effects.ts';
import { AgentError } from './errors.ts';

const startBytesMax = 16 * 1024;

/**
 * What launch left for this start, with `stateDir` made absolute.
 * @throws AgentError `start-missing` | `start-invalid`
 */
export async function readStart(files: AgentFiles, layout: Layout): Promise<Start> {
  const path = join(layout.launchedComponent('app'), 'start.json');
  const text = await files.readText(path, startBytesMax);
  if (text === null) {
    throw new AgentError(
      'start-missing',
      `there is no ${path}, so this start has no nonce and no state`,
      'let launch start the agent; it writes that file',
    );
  }
  try {
    const start = startShape.parse(JSON.parse(text));
    return { ...start, stateDir: resolve(layout.root, start.stateDir) };
  } catch (cause) {
    throw new AgentError('start-invalid', `${path} is not what launch writes`, 'restart the agent through launch', {
      cause,
    });
  }
}
