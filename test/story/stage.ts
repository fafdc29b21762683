import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

const prefix = 'holdfast-story-';
/** Where the pages are when nobody else is there. */
const wantedPorts = { server: 4000, page: 4010 } as const;

export interface Stage {
  readonly world: World;
  readonly first: ApplianceBox;
  readonly control: ApplianceBox;
  readonly third: ApplianceBox;
  readonly pageUrl: string;
}

const markShape = z.object({ pid: z.int(), server: z.int().nullable() });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

/** What a story that was killed left behind; one that still runs is left alone. */
function clearStale(): void {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(prefix))) {
    const dir = join(tmpdir(), name);
    const mark = readMark(join(dir, 'story.json'));
    if (mark !== null && isAlive(mark.pid)) continue;
    if (mark?.server && commandLineOf(mark.server).includes(dir)) process.kill(mark.server, 'SIGTERM');
    rmSync(dir, { recursive: true, force: true });
  }
}

function readMark(path: string): z.infer<typeof markShape> | null {
  try {
    return markShape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    if (error instanceof Error && 'code' in error) return null; // never written, or somebody else's
    throw error;
  }
}

/** The wanted port, or any other when it is in use. */
async function freePort(wanted: number): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number | null>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(null));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null));
      });
    });
  const port = (await tryPort(wanted)) ?? (await tryPort(0));
  if (port === null) throw new Error('no port is free');
  return port;
}

/** Set-up: server, factory releases, three appliances; the third has been on for a moment and is off again. */
export async function setTheStage(progress: (text: string) => void, onWorld: (world: World) => void): Promise<Stage> {
  clearStale();
  const dir = mkdtempSync(join(tmpdir(), prefix));
  const world = new World(dir, nodeBinary);
  onWorld(world);
  writeFileSync(join(dir, 'story.json'), JSON.stringify({ pid: process.pid, server: null }));
  try {
    progress('setting up: building 1.0.49 and the updater, starting the server …');
    await world.found('1.0.49', 1, await freePort(wantedPorts.server));
    writeFileSync(join(dir, 'story.json'), JSON.stringify({ pid: process.pid, server: world.server.pid }));
    const pagePort = await freePort(wantedPorts.page);
    progress('setting up: claiming three appliances …');
    // The third first: by the time the others are up, it has been off for long enough to show.
    const third = await world.addAppliance('harbour-3');
    await third.powerOn();
    await checkedIn(world, 'harbour-3', true);
    await third.powerOff();
    const first = await world.addAppliance('harbour-1', { pagePort });
    const control = await world.addAppliance('harbour-2', { timerMs: null });
    progress('setting up: switching them on …');
    await Promise.all([first.powerOn(), control.powerOn()]);
    await Promise.all([checkedIn(world, 'harbour-1', true), checkedIn(world, 'harbour-2', false)]);
    await until('harbour-3 shows as offline', 30_000, async () =>
      (await world.server.appliance('harbour-3')).online ? null : true,
    );
    noteForCommands(world);
    return { world, first, control, third, pageUrl: `http://127.0.0.1:${pagePort}` };
  } catch (error) {
    await world.end();
    throw error;
  }
}

/** What `npx holdfast` reads when it is told nothing else. */
function noteForCommands(world: World): void {
  const dir = join(checkout, '.holdfast');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'cli.json'), JSON.stringify({ url: world.server.url, tokenFile: world.server.tokenFile }));
  writeFileSync(join(dir, 'story.json'), JSON.stringify({ dir: world.dir }));
}

async function checkedIn(world: World, name: string, withUpdater: boolean): Promise<void> {
  await until(`${name} checks in`, 30_000, async () => {
    const { checkIns } = await world.server.appliance(name);
    return checkIns.agent !== null && (!withUpdater || checkIns.updater !== null) ? true : null;
  });
}
