import { createWriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
import { releasesPath } from '../../protocol/check-in.ts';
import { bundleName } from '../../protocol/manifest.ts';
import { compareVersions, versionShape } from '../../protocol/version.ts';
import { ImageError } from '../errors.ts';
import { developmentTexts } from '../texts.ts';

const checkout = resolve(import.meta.dirname, '..', '..');
const releaseShape = z
  .object({ component: z.string(), version: versionShape, withdrawn: z.boolean(), failedOn: z.number().default(0) })
  .loose();
const claimShape = z.object({ claim: z.string() }).loose();
const problemShape = z.object({ code: z.string(), message: z.string(), next: z.string().optional() });

/** The options that tell the operator's command line its server. */
export interface ServerOptions {
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** The operator's command line refused. */
export class OperatorRefusal extends Error {
  readonly code: string;
  readonly next: string | undefined;
  constructor({ code, message, next }: z.infer<typeof problemShape>) {
    super(message);
    this.code = code;
    this.next = next;
  }
}

/**
 * Runs `holdfast … --json` as a process of its own, because only a holder of its token may make claims and see
 * releases.
 * @returns what it printed, one value a line
 */
async function holdfast<Shape extends z.ZodType>(
  { server, tokenFile }: ServerOptions,
  words: readonly string[],
  shape: Shape,
): Promise<z.output<Shape>[]> {
  const where = [
    ...(server === undefined ? [] : ['--server', server]),
    ...(tokenFile === undefined ? [] : ['--token-file', tokenFile]),
  ];
  const main = join(checkout, 'server-lite', 'cli', 'main.ts');
  const { exitCode, stdout, stderr } = await execa(process.execPath, [main, '--json', ...where, ...words], {
    stdin: 'ignore',
    reject: false,
  });
  if (exitCode === 0) {
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => shape.parse(JSON.parse(line)));
  }
  const problem = problemShape.safeParse(parsed(stderr));
  throw new OperatorRefusal(problem.success ? problem.data : { code: 'operator-failed', message: stderr.trim() });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** @throws OperatorRefusal */
export async function makeClaim(options: ServerOptions, name: string, site: string): Promise<string> {
  const [made] = await holdfast(options, ['claim', 'create', '--name', name, '--site', site], claimShape);
  if (made === undefined) throw new OperatorRefusal({ code: 'operator-failed', message: developmentTexts.noClaim });
  return made.claim;
}

/**
 * Fetches the newest bundle of each component from the server that failed nowhere, as the factory versions: behind them
 * is nothing to go back to. Nothing in them is trusted here: setup verifies them.
 * @throws OperatorRefusal; ImageError `factory-missing`
 */
export async function fetchFactory(options: ServerOptions, url: string, dir: string): Promise<string[]> {
  const releases = (await holdfast(options, ['release', 'list'], releaseShape)).filter(
    ({ withdrawn, failedOn }) => !withdrawn && failedOn === 0,
  );
  await mkdir(dir, { recursive: true });
  const paths: string[] = [];
  for (const component of ['app', 'updater'] as const) {
    const own = releases.filter((one) => one.component === component);
    const newest = own.toSorted((a, b) => compareVersions(b.version, a.version))[0];
    if (newest === undefined) {
      const next = developmentTexts.noReleaseNext(component);
      throw new ImageError('factory-missing', developmentTexts.noRelease(component), next);
    }
    paths.push(await fetchBundle(url, bundleName(component, newest.version), dir));
  }
  return paths;
}

async function fetchBundle(url: string, name: string, dir: string): Promise<string> {
  const from = addressBelow(url, `${releasesPath}/bundles/${name}`);
  const answer = await fetch(from, { redirect: 'error' });
  if (!answer.ok || answer.body === null) {
    const next = developmentTexts.otherAnswerNext;
    throw new ImageError('factory-missing', developmentTexts.otherAnswer(from, answer.status), next);
  }
  const path = join(dir, name);
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(`${path}.new`));
  await rename(`${path}.new`, path);
  return path;
}
