import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { whyNoServerAddress } from '../../protocol/address.ts';
import { decodeClaim } from '../../protocol/claim.ts';
import { readHidden } from '../../protocol/hidden-line.ts';
import { bundleName } from '../../protocol/manifest.ts';
import { printable } from '../../protocol/printable.ts';
import { ImageError } from '../errors.ts';
import { emitOs } from '../os.ts';
import { sourceCommit } from '../source-commit.ts';
import { developmentTexts } from '../texts.ts';
import { verifyBundle } from '../verify/verify-bundle.ts';
import type { ApplianceDirectory } from './appliance-directory.ts';
import { fetchFactory, makeClaim, OperatorRefusal, type ServerOptions } from './server-words.ts';
import { controlSocketOf } from './supervisor/supervisor.ts';

const checkout = resolve(import.meta.dirname, '..', '..');
const setUpShape = z.object({ name: z.string(), appliance: z.string(), pin: z.string().nullable() });
const claimCharactersMax = 2_000;
/** Seconds instead of minutes, because a developer waits for them; every status says so. */
const trial = { healthyMs: 10_000, deadlineMs: 90_000, belowFloor: true } as const;

export interface SetUpWish extends ServerOptions {
  readonly name: string;
  readonly site: string;
  readonly claimFile?: string | undefined;
  readonly factory: readonly string[];
}

/** Has setup finished here? Then a further start needs nothing but the directory. */
export function isSetUp({ layout }: ApplianceDirectory): boolean {
  return existsSync(layout.identity);
}

/**
 * From an empty directory to a claimed appliance: the operating system's part from this checkout, factory bundles, then
 * the updater's own `setup`. Repeating it finishes what was interrupted.
 * @returns the PIN of the page, if it was made just now
 * @throws ImageError, OperatorRefusal
 */
export async function setUpAppliance(place: ApplianceDirectory, wish: SetUpWish): Promise<string | null> {
  const claimFile = join(place.dir, 'claim');
  const claim = await claimOf(wish, claimFile);
  const { url } = decodeClaim(claim);
  // Kept until setup has finished: setup can be repeated with the same code.
  await writeFile(claimFile, `${claim}\n`, { mode: 0o600 });
  const version = await bringFactory(place, wish, wish.server ?? url);
  await rm(place.os, { recursive: true, force: true });
  const node = join(checkout, 'node_modules', 'node', 'bin', 'node');
  await emitOs({ sourceDir: checkout, outDir: place.os, version, commit: await sourceCommit(checkout, null), node });
  await writeSettings(place);
  const words = ['setup', '--root', place.layout.root, '--factory', place.factory, '--claim-file', claimFile, '--json'];
  const server = wish.server === undefined ? [] : ['--server', wish.server];
  const program = join(place.os, 'updater', 'main.js');
  const { exitCode, stdout } = await execa(join(place.os, 'node'), [program, ...words, ...server], {
    stdin: 'ignore',
    stderr: 'inherit',
    reject: false,
  });
  if (exitCode !== 0) {
    throw new ImageError(
      'set-up-failed',
      developmentTexts.setUpUnfinished(wish.name),
      developmentTexts.setUpUnfinishedNext,
    );
  }
  await rm(claimFile);
  return setUpShape.parse(JSON.parse(stdout)).pin;
}

/** The claim code of an interrupted set-up, else the given one, else one that is made here, else one that is typed. */
async function claimOf(wish: SetUpWish, kept: string): Promise<string> {
  const { claimFile, server } = wish;
  const why = server === undefined ? null : whyNoServerAddress(server);
  if (why !== null) throw new ImageError('server-invalid', `${server} ${why}`, developmentTexts.addressNext);
  if (claimFile !== undefined) return (await readFile(resolve(claimFile), 'utf8')).trim();
  if (existsSync(kept)) return (await readFile(kept, 'utf8')).trim();
  try {
    return await makeClaim(wish, wish.name, wish.site);
  } catch (error) {
    if (!(error instanceof OperatorRefusal) || error.code !== 'not-configured') throw error;
    if (process.stdin.isTTY) return askForClaim(wish.name);
    const next = developmentTexts.noClaimCodeNext;
    throw new ImageError('claim-missing', developmentTexts.noClaimCode(wish.name), next, { cause: error });
  }
}

async function askForClaim(name: string): Promise<string> {
  const question = developmentTexts.askClaim(name);
  const typed = await readHidden(process.stdin, claimCharactersMax, () => process.stderr.write(printable(question)));
  process.stderr.write(printable('\n'));
  return (typed ?? '').trim();
}

/** @returns the version of the factory updater, which is also that of the operating system's part */
async function bringFactory(place: ApplianceDirectory, wish: SetUpWish, url: string): Promise<string> {
  const given = wish.factory.map((file) => resolve(file));
  const paths = given.length > 0 ? given : await fetchFactory(wish, url, join(place.dir, 'fetched'));
  await rm(place.factory, { recursive: true, force: true });
  await mkdir(place.factory, { recursive: true });
  const found = new Map<string, string>();
  for (const path of paths) {
    const { release } = await verifyBundle(path, null, new Date());
    if (release === null) continue;
    found.set(release.component, release.version);
    await copyFile(path, join(place.factory, bundleName(release.component, release.version)));
  }
  const updater = found.get('updater');
  if (updater !== undefined && found.has('app')) return updater;
  const names = paths.map((path) => basename(path)).join(', ');
  throw new ImageError('factory-missing', developmentTexts.otherFactory(names), developmentTexts.factoryNext);
}

/** Writes what root would write: who starts the agent here, and how long a trial is. */
async function writeSettings({ layout, config }: ApplianceDirectory): Promise<void> {
  const { agentUser, pageUser } = config;
  // The agent's own user must be able to reach its slot; below, each place has its own mode.
  await mkdir(layout.root, { recursive: true, mode: 0o755 });
  await mkdir(layout.updater, { recursive: true, mode: 0o700 });
  if (existsSync(layout.settings)) return;
  const isolation = agentUser === null ? 'none' : 'users';
  const processControl = { kind: 'supervisor', socket: controlSocketOf(layout.root), isolation };
  const settings = { processControl, agentUser, pageUser, trial, graceMs: 5_000, stallMs: 20_000, answerMs: 20_000 };
  await writeFile(layout.settings, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
}
