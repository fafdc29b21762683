import { existsSync, lstatSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Attack, inBoth } from './attack.ts';
import {
  abstractNames,
  answered,
  busyProcessors,
  handlesOf,
  linkAt,
  livedS,
  locksOn,
  logOf,
  processesOfAgent,
  procOf,
  runnableThreads,
  schemaIn,
} from './look.ts';

async function whileAgentRuns(box: ApplianceBox, look: (pid: number) => Promise<boolean> | boolean): Promise<boolean> {
  const pid = box.agentPid();
  return pid !== null && (await look(pid));
}

/** How often the agent ended by this status or signal, as its supervisor saw it. */
function ends(box: ApplianceBox, how: string): number {
  return logOf(box).split(`agent ended (${how})`).length - 1;
}

const isDatabase = (path: string) =>
  existsSync(path) && readFileSync(path).subarray(0, 15).toString('latin1') === 'SQLite format 3';

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Agents that attack with what their user may do to processes, disk, sockets and files. */
export const deeds: readonly Attack[] = [
  {
    ...inBoth,
    version: '1.0.40',
    how: 'exits at once',
    onTrial: 'crash-loop',
    tookEffect: (box) => ends(box, '1') >= 2,
  },
  {
    ...inBoth,
    version: '1.0.43',
    how: 'exits with status 0 for ever',
    onTrial: 'crash-loop',
    tookEffect: (box) => ends(box, '0') >= 2,
  },
  {
    ...inBoth,
    version: '1.0.41',
    how: 'hangs before it answers',
    onTrial: 'no-answer',
    tookEffect: (box) => whileAgentRuns(box, async (pid) => livedS(pid) >= 2 && (await answered(box)) === null),
  },
  {
    ...inBoth,
    version: '1.0.55',
    how: 'flaps',
    onTrial: 'flap',
    // What comes back is copied there: no rename leads from one file system to another.
    diskOnTrial: { of: 'agent', bytes: 64 * 1024 * 1024 },
    tookEffect: (box) => logOf(box).split('the agent is up').length > 2 && ends(box, '1') >= 2,
  },
  {
    ...inBoth,
    version: '1.0.70',
    how: 'stops itself with SIGSTOP',
    onTrial: 'no-answer',
    tookEffect: (box) => whileAgentRuns(box, (pid) => /^State:\s+T/m.test(procOf(pid, 'status'))),
  },
  {
    ...inBoth,
    version: '1.0.71',
    how: 'forks without end',
    onTrial: null,
    tookEffect: (box) => processesOfAgent(box).length >= 100,
  },
  {
    ...inBoth,
    version: '1.0.72',
    how: 'leaks handles up to its limit',
    onTrial: 'no-answer',
    tookEffect: (box) => whileAgentRuns(box, (pid) => handlesOf(pid) >= 4_000),
  },
  {
    ...inBoth,
    version: '1.0.73',
    how: 'fills its quota, and says that its disk is well',
    // It cannot even note the number of a check-in any more.
    onTrial: 'server-not-reached',
    disk: { of: 'agent', bytes: 64 * 1024 * 1024 },
    diskOnTrial: { of: 'root', bytes: 256 * 1024 * 1024 },
    tookEffect: async (box) => {
      const checks = (await answered(box))?.json?.checks;
      return statfsSync(box.layout.agent).bavail === 0 && JSON.stringify(checks).includes('"disk":"ok"');
    },
  },
  {
    ...inBoth,
    version: '1.0.74',
    how: 'deletes all that it can reach, and takes the rights off its directories',
    onTrial: 'no-answer',
    destroys: ['state', 'outbox'],
    tookEffect: ({ layout }) =>
      readdirSync(layout.agent).length === 0 &&
      !existsSync(layout.agentSocket) &&
      (statSync(layout.agent).mode & 0o777) === 0,
  },
  {
    ...inBoth,
    version: '1.0.75',
    how: 'rewrites all that it can reach',
    // Its settings allow 20 s between two readings, and work may stand still for longer than that.
    settings: { stallMs: 60_000 },
    onTrial: 'no-answer',
    destroys: ['state', 'outbox'],
    tookEffect: ({ layout }) =>
      readFileSync(layout.agentCredentials, 'utf8') === 'mine now' &&
      readFileSync(layout.hint, 'utf8') === 'mine now' &&
      statSync(layout.agentSocket).isDirectory(),
  },
  {
    ...inBoth,
    version: '1.0.76',
    how: 'leaves a child behind that answers on the socket',
    // The child knows the nonce, so what it said counts until it is gone.
    onTrial: 'flap',
    tookEffect: async (box) => {
      const child = (await answered(box))?.json?.child;
      return typeof child === 'number' && child !== box.agentPid() && processesOfAgent(box).includes(child);
    },
  },
  {
    ...inBoth,
    version: '1.0.77',
    how: 'corrupts its databases',
    onTrial: 'crash-loop',
    destroys: ['state', 'outbox'],
    tookEffect: (box) => existsSync(box.layout.stateDb) && !isDatabase(box.layout.stateDb) && ends(box, 'SIGKILL') >= 1,
  },
  {
    ...inBoth,
    version: '1.0.90',
    how: 'writes a schema number of the future into its state, and goes on',
    // It serves as before, so its trial has nothing against it.
    onTrial: null,
    destroys: ['state'],
    tookEffect: async (box) => schemaIn(box.layout.stateDb) === 2 ** 31 && (await answered(box))?.json !== null,
  },
  {
    ...inBoth,
    version: '1.0.78',
    how: 'keeps every processor busy',
    onTrial: null,
    // Beside other work it gets its share of them; what it asks for is seen in its threads.
    tookEffect: (box) =>
      whileAgentRuns(
        box,
        async (pid) => runnableThreads(pid) >= 3 * availableParallelism() && (await busyProcessors(box, 1_000)) >= 0.2,
      ),
  },
  {
    ...inBoth,
    version: '1.0.83',
    how: 'floods its log, the hint and its socket',
    onTrial: null,
    tookEffect: async (box) => {
      const before = statSync(box.layout.hint).mtimeMs;
      const agent = await answered(box, 500);
      const isFlooded = logOf(box).includes('too much output, the rest is not kept');
      return isFlooded && statSync(box.layout.hint).mtimeMs !== before && agent?.json === null;
    },
  },
  {
    ...inBoth,
    version: '1.0.84',
    how: 'takes every name and lock that it can reach',
    onTrial: null,
    tookEffect: ({ layout, options }) =>
      abstractNames(options.root).length >= 5 &&
      locksOn(join(layout.launchedComponent('app'), 'slot')) >= 1 &&
      locksOn(layout.hint) >= 1 &&
      statSync(join(layout.agentKeys, 'credentials.json.tmp')).isDirectory(),
  },
  {
    ...inBoth,
    version: '1.0.88',
    how: 'puts links and pipes where others read',
    onTrial: 'no-answer',
    destroys: ['state', 'outbox'],
    tookEffect: ({ layout }) =>
      linkAt(layout.agentSettings) === layout.identityKey &&
      linkAt(layout.agentKeys) === layout.updater &&
      linkAt(layout.agentSocket)?.endsWith('supervisor.sock') === true &&
      lstatSync(layout.stateDb).isFIFO(),
  },
  {
    ...inBoth,
    version: '1.0.89',
    how: 'makes its state look larger than the disk',
    disk: { of: 'root', bytes: 256 * 1024 * 1024 },
    onTrial: null,
    tookEffect: ({ layout }) => {
      const { size, blocks } = statSync(layout.stateDb);
      return size === 1_000_000_000 && blocks * 512 < size / 10;
    },
  },
  {
    ...inBoth,
    version: '1.0.92',
    how: 'fills run/ by its corner and by the hint',
    onTrial: 'crash-loop',
    disk: { of: 'run', bytes: 2 * 1024 * 1024 },
    diskOnTrial: { of: 'run', bytes: 2 * 1024 * 1024 },
    tookEffect: ({ layout }) =>
      statfsSync(layout.run).bavail === 0 &&
      statSync(layout.hint).size + sizeOf(join(layout.agentRun, 'ballast')) > 1_000_000,
  },
  {
    ...inBoth,
    version: '1.0.91',
    how: 'does not end when it is told to',
    onTrial: null,
    tookEffect: (box) => whileAgentRuns(box, (pid) => livedS(pid) >= 4 && isDeaf(box, pid)),
  },
];

/** It was told to end, and goes on for longer than a stop takes. */
async function isDeaf(box: ApplianceBox, pid: number): Promise<boolean> {
  process.kill(pid, 'SIGTERM');
  await delay(2_000);
  return box.agentPid() === pid && (await answered(box))?.json !== null;
}
