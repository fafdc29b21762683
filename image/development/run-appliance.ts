import { readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { layoutOf } from '../../protocol/layout.ts';
import { ImageError } from '../errors.ts';
import { developmentTexts } from '../texts.ts';
import { isFree } from './free-port.ts';
import { controlSocketOf, Supervisor, type SupervisorConfig } from './supervisor/supervisor.ts';

const lookMs = 50;
const portMsMax = 5_000;

/**
 * Starts agent, updater and page of one appliance, until a signal.
 * @returns a function that ends them in order: the updater and the page, then the agent
 * @throws ImageError `appliance-runs`
 */
export async function runAppliance(config: SupervisorConfig): Promise<() => Promise<void>> {
  if (await isAnswered(controlSocketOf(config.root))) {
    throw new ImageError('appliance-runs', developmentTexts.runsAlready(config.root), developmentTexts.runsAlreadyNext);
  }
  endLeftovers(config);
  await requirePagePort(config);
  const supervisor = new Supervisor(config);
  await supervisor.start();
  return () => supervisor.stop();
}

/** What was ended just now may hold its port for a moment. @throws ImageError `port-taken` */
async function requirePagePort({ page, root }: SupervisorConfig): Promise<void> {
  if (page === null || page === undefined) return;
  for (let waitedMs = 0; !(await isFree(page.port)); waitedMs += lookMs) {
    if (waitedMs >= portMsMax) {
      const next = developmentTexts.portTakenNext(join(dirname(root), 'supervisor.json'));
      throw new ImageError('port-taken', developmentTexts.portTaken(page.port), next);
    }
    await delay(lookMs);
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * If an earlier supervisor was killed, its appliance still runs: under systemd, the control group would have ended it.
 */
function endLeftovers({ root, os }: SupervisorConfig): void {
  const { launched } = layoutOf(root);
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    const [program = '', entry = ''] = commandLine(name).split('\0');
    const isOurs =
      program.startsWith(`${launched}/`) || (program === `${os}/node` && !entry.startsWith(`${os}/updater/`));
    if (isOurs) end(Number(name));
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
