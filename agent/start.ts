import { join, resolve } from 'node:path';
import { type Start, startShape } from '../protocol/health.ts';
import type { Layout } from '../protocol/layout.ts';
import type { AgentFiles } from './effects/effects.ts';
import { AgentError, systemCode } from './errors.ts';
import { agentTexts } from './texts.ts';

const startBytesMax = 16 * 1024;

/**
 * What launch left for this start, with `stateDir` made absolute.
 * @throws AgentError `start-missing` | `start-invalid`
 */
export async function readStart(files: AgentFiles, layout: Layout): Promise<Start> {
  const path = join(layout.launchedComponent('app'), 'start.json');
  const text = await readOrRefuse(files, path);
  if (text === null) {
    throw new AgentError('start-missing', agentTexts.noStart(path), agentTexts.noStartNext);
  }
  try {
    const start = startShape.parse(JSON.parse(text));
    return { ...start, stateDir: resolve(layout.root, start.stateDir) };
  } catch (cause) {
    throw new AgentError('start-invalid', agentTexts.otherStart(path), agentTexts.restartNext, {
      cause,
    });
  }
}

async function readOrRefuse(files: AgentFiles, path: string): Promise<string | null> {
  try {
    return await files.readText(path, startBytesMax);
  } catch (cause) {
    if (systemCode(cause) === null) throw cause;
    const text = agentTexts.startUnreadable(path, systemCode(cause));
    throw new AgentError('start-invalid', text, agentTexts.restartNext, { cause });
  }
}
