import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { checkout, nodeBinary } from '../support/world/checkout.ts';

/** `npx holdfast demo break`: one more broken release for the story that is up, published and rolled out. */

const noteShape = z.object({ dir: z.string() });
const listShape = z.array(z.object({ component: z.string(), version: z.string() }));
const describedShape = z.object({ securityVersion: z.int() });
/** The first version that no scene of the story uses. */
const firstPatch = 55;

function readStory(): string {
  try {
    return noteShape.parse(JSON.parse(readFileSync(join(checkout, '.holdfast', 'story.json'), 'utf8'))).dir;
  } catch (cause) {
    throw new Error('no story is up: run npm start first', { cause });
  }
}

async function holdfast(args: readonly string[]): Promise<string> {
  const { stdout } = await execa(nodeBinary, [join(checkout, 'server-lite', 'cli', 'main.ts'), ...args], {
    cwd: checkout,
  });
  return stdout;
}

const dir = readStory();
// Below the floor it would be refused before it could break anything.
const broken = join(checkout, 'test', 'releases', '1.0.55');
const { securityVersion } = describedShape.parse(JSON.parse(readFileSync(join(broken, 'release.json'), 'utf8')));
const releases = listShape.parse(JSON.parse(await holdfast(['release', 'list', '--json'])));
const patches = releases.filter((one) => one.component === 'app').map((one) => Number(one.version.split('.')[2]));
const version = `1.0.${Math.max(firstPatch - 1, ...patches) + 1}`;
process.stdout.write(`building ${version}, which crashes a second after each start …\n`);
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
await holdfast(['release', 'publish', join(out, `app-${version}.hfb`)]);
process.stdout.write(`${await holdfast(['rollout', 'start', version, '--canary', 'harbour-1'])}\n`);
process.stdout.write('watch the dashboard, or: npx holdfast rollout watch\n');
