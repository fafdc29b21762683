import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { pathOfProfile, writeProfile } from '../../server-lite/cli/profile.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { nodeBinary } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';
import { removeStoryNote, storyNotePath, writeStoryNote } from './story-note.ts';
import { type StoryProfile, tellCommandLine } from './story-profile.ts';

const prefix = 'holdfast-story-';
/** The connection to its server, in its own directory. */
export const storyProfileName = 'connection';
/** Where the pages are when nobody else is there. */
const wantedPorts = { server: 4000, page: 4010 } as const;

export interface Stage {
  readonly world: World;
  readonly first: ApplianceBox;
  readonly control: ApplianceBox;
  readonly third: ApplianceBox;
  readonly pageUrl: string;
  readonly commands: StoryCommands;
}

export interface StoryCommands extends StoryProfile {
  /** From now on `demo break` spoils nothing. */
  isTold(): void;
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

/** Set-up: server, factory releases, three appliances; the third has been on for a moment and is off again. `holdfast` looks in `profiles`. */
export async function setTheStage(
  progress: (text: string) => void,
  onWorld: (world: World) => void,
  profiles: string,
): Promise<Stage> {
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
    const third = await world.addAppliance('harbour-3', { timerMs: 1_000 });
    await third.powerOn();
    await checkedIn(world, 'harbour-3', true);
    await third.powerOff();
    const first = await world.addAppliance('harbour-1', { pagePort, timerMs: 1_000 });
    const control = await world.addAppliance('harbour-2', { timerMs: null });
    progress('setting up: switching them on …');
    await Promise.all([first.powerOn(), control.powerOn()]);
    await Promise.all([checkedIn(world, 'harbour-1', true), checkedIn(world, 'harbour-2', false)]);
    await until('harbour-3 shows as offline', 30_000, async () =>
      (await world.server.appliance('harbour-3')).online ? null : true,
    );
    const commands = noteForCommands(world, profiles);
    return { world, first, control, third, pageUrl: `http://127.0.0.1:${pagePort}`, commands };
  } catch (error) {
    await world.end();
    throw error;
  }
}

/** What `npx holdfast` reaches when it is told nothing else, and where `demo break` finds the story that is up. */
function noteForCommands(world: World, profiles: string): StoryCommands {
  writeProfile(pathOfProfile(world.dir, storyProfileName), {
    url: world.server.url,
    token: world.server.token,
    allowHttp: false,
  });
  const profile = tellCommandLine(world.server, join(world.dir, `${storyProfileName}.json`), profiles);
  const note = { dir: world.dir, command: profile.command, isTold: false };
  writeStoryNote(storyNotePath, note);
  return {
    command: profile.command,
    isTold: () => writeStoryNote(storyNotePath, { ...note, isTold: true }),
    remove: () => {
      profile.remove();
      removeStoryNote(storyNotePath, note);
    },
  };
}

async function checkedIn(world: World, name: string, withUpdater: boolean): Promise<void> {
  await until(`${name} checks in`, 30_000, async () => {
    const { checkIns } = await world.server.appliance(name);
    return checkIns.agent !== null && (!withUpdater || checkIns.updater !== null) ? true : null;
  });
}
