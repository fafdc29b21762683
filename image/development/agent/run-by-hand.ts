import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { healthAnswerShape, type Start } from '../../../protocol/health.ts';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { emitProgram } from '../../emit.ts';
import { ImageError } from '../../errors.ts';
import { readSocket } from '../../health-socket.ts';
import { agentByHandTexts, developmentTexts } from '../../texts.ts';
import { logLine, News } from './news.ts';

/** One agent without an appliance around it: no launch, no updater, no slots. */

const lookMs = 500;
const version = '0.0.0-dev';
const sourceDir = join(import.meta.dirname, '..', '..', '..');

export interface ByHand {
  /** Becomes the data partition. */
  readonly root: string;
  /** A maker's directory; null: none. */
  readonly makerDir: string | null;
}

/**
 * Builds the agent, runs it until the signal aborts or it ends, and prints what it says and what its duties do.
 * @returns its exit status; 0 after the signal
 * @throws ImageError `appliance-runs`, `directory-unusable`, `maker-invalid`
 */
export async function runByHand(
  { root, makerDir }: ByHand,
  print: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const layout = layoutOf(root);
  await requireUnused(layout);
  const program = await mkdtemp(join(tmpdir(), 'holdfast-agent-'));
  try {
    await emitProgram({
      component: 'app',
      version,
      commit: 'by-hand',
      sourceDir,
      makerDir,
      outDir: program,
      node: process.execPath,
    });
    await setUp(layout);
    print(agentByHandTexts.runs(root));
    return await follow(layout, program, print, signal);
  } finally {
    await rm(program, { recursive: true, force: true });
  }
}

async function requireUnused({ root, updater, agentSocket }: Layout): Promise<void> {
  if (existsSync(updater)) {
    throw new ImageError(
      'directory-unusable',
      agentByHandTexts.wholeAppliance(root),
      agentByHandTexts.wholeApplianceNext,
    );
  }
  if ((await readSocket(agentSocket)) !== null) {
    throw new ImageError('appliance-runs', agentByHandTexts.runsAlready(root), developmentTexts.runsAlreadyNext);
  }
}

/** What launch leaves. */
async function setUp(layout: Layout): Promise<void> {
  const launched = layout.launchedComponent('app');
  for (const directory of [layout.agentKeys, layout.agentRun, launched]) await mkdir(directory, { recursive: true });
  const start: Start = {
    nonce: randomBytes(32).toString('hex'),
    slot: 'factory',
    manifest: '0'.repeat(64),
    version,
    stateDir: layout.agent,
  };
  await writeFile(join(launched, 'start.json'), JSON.stringify(start));
}

async function follow(
  layout: Layout,
  program: string,
  print: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const ended = new AbortController();
  const child = execa(process.execPath, [join(program, 'main.js'), '--root', layout.root], {
    stdin: 'ignore',
    buffer: false,
    reject: false,
  });
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => print(logLine(line)));
  }
  const watching = watch(layout.agentSocket, print, AbortSignal.any([signal, ended.signal]));
  const { exitCode } = await child;
  ended.abort();
  await watching;
  return signal.aborted ? 0 : (exitCode ?? 1);
}

async function watch(socket: string, print: (text: string) => void, signal: AbortSignal): Promise<void> {
  const news = new News();
  while (!signal.aborted) {
    const text = await readSocket(socket);
    const answer = text === null ? null : healthAnswerShape.safeParse(parsed(text));
    if (answer?.success === true) for (const line of news.of(answer.data, performance.now())) print(line);
    // The signal ends the wait.
    await delay(lookMs, undefined, { signal }).catch(() => undefined);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
