import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExecaError, execa } from 'execa';
import { z } from 'zod';
import { exitFailed } from '../../protocol/exit-status.ts';
import { printable } from '../../protocol/printable.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { storyProfileName } from './stage.ts';
import { readStoryNote, storyNotePath } from './story-note.ts';

/** `npx holdfast demo break`: one more broken release for the story that is up, published and rolled out. */

const releaseShape = z.object({ component: z.string(), version: z.string() });
const describedShape = z.object({ securityVersion: z.int() });
/** The first version that no scene of the story uses. */
const firstPatch = 55;

function refuse(text: string): never {
  process.stderr.write(printable(`${text}\n`));
  process.exit(exitFailed);
}

const note = readStoryNote(process.argv[2] ?? storyNotePath) ?? refuse('no story is up: run npm start first');
// One more release in the middle of it would take the appliance from the scenes that are still to come.
if (!note.isTold) {
  refuse(
    'the story is still being told, and a broken release would spoil it\nNext: wait for its last line, “Ctrl-C ends it all”; then run this again',
  );
}
const { dir, command } = note;

async function holdfast(dir: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execa(nodeBinary, [join(checkout, 'server-lite', 'cli', 'main.ts'), ...args], {
    cwd: checkout,
    // The story's own server, whatever else this person is connected to.
    env: { HOLDFAST_CONFIG: join(dir, `${storyProfileName}.json`), HOLDFAST_SERVER: '', HOLDFAST_TOKEN_FILE: '' },
  });
  return stdout;
}

async function breakOnce(): Promise<void> {
  // Below the floor it would be refused before it could break anything.
  const broken = join(checkout, 'test', 'releases', '1.0.55');
  const { securityVersion } = describedShape.parse(JSON.parse(readFileSync(join(broken, 'release.json'), 'utf8')));
  const listed = (await holdfast(dir, ['release', 'list', '--json'])).split('\n').filter((line) => line !== '');
  const releases = listed.map((line) => releaseShape.parse(JSON.parse(line)));
  const patches = releases.filter((one) => one.component === 'app').map((one) => Number(one.version.split('.')[2]));
  const version = `1.0.${Math.max(firstPatch - 1, ...patches) + 1}`;
  process.stdout.write(printable(`building ${version}, which crashes a second after each start …\n`));
  const out = join(dir, 'releases');
  const build = [
    'build',
    '--component',
    'app',
    '--version',
    version,
    '--patch',
    join(broken, 'release.patch'),
    '--no-trial-start',
    '--security-version',
    String(securityVersion),
  ];
  const places = [
    '--runtime',
    nodeBinary,
    '--repository',
    join(out, 'repository'),
    '--server-keys',
    join(dir, 'server', 'public-keys.json'),
    '--out',
    out,
  ];
  await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), ...build, ...places]);
  await holdfast(dir, ['release', 'publish', join(out, `app-${version}.hfb`)]);
  process.stdout.write(printable(`${await holdfast(dir, ['rollout', 'start', version, '--canary', 'harbour-1'])}\n`));
  process.stdout.write(printable(`watch the dashboard, or: ${command} rollout watch\n`));
}

try {
  await breakOnce();
} catch (error) {
  if (!(error instanceof ExecaError)) throw error;
  // What a command of it says is its own words; nobody who tries Holdfast needs our stack.
  process.stderr.write(printable(`${error.stderr || error.shortMessage}\n`));
  process.exitCode = exitFailed;
}
