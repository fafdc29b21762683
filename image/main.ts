#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { versionShape } from '../protocol/version.ts';
import { ImageError } from './errors.ts';
import { emitOs } from './os.ts';
import { buildOsRelease, buildRelease } from './release.ts';
import { listReleases, openRepository, type Repository, revokeRelease } from './repository.ts';
import { readServerKeys } from './repository-keys.ts';
import { sourceCommit } from './source-commit.ts';

const checkout = resolve(import.meta.dirname, '..');

const componentShape = z.enum(['app', 'updater', 'os']);
const stateShape = z.object({
  reads: z.object({ min: z.int().min(0), max: z.int().min(0) }),
  writes: z.int().min(0),
});
/** release.json of a directory that describes a release, beside its release.patch. */
const describedShape = z.object({
  version: versionShape,
  securityVersion: z.int().min(0).optional(),
  state: stateShape.optional(),
});

const repositoryShape = z.object({ repository: z.string(), serverKeys: z.string() });
const buildShape = repositoryShape.extend({
  component: componentShape,
  version: versionShape.optional(),
  release: z.string().optional(),
  patch: z.string().optional(),
  runtime: z.string().optional(),
  base: z.array(z.string()).default([]),
  image: z.string().optional(),
  sbom: z.string().optional(),
  securityVersion: z.int().optional(),
  out: z.string(),
  source: z.string(),
});
const osShape = z.object({ out: z.string(), source: z.string(), version: versionShape, node: z.string() });

function print(json: boolean, value: object, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
}

async function openFrom(options: unknown): Promise<Repository> {
  const { repository, serverKeys } = repositoryShape.parse(options);
  return openRepository({
    dir: resolve(repository),
    serverKeys: await readServerKeys(serverKeys),
    now: () => new Date(),
  });
}

async function describedIn(directory: string | undefined) {
  if (directory === undefined) return null;
  const text = await readFile(join(directory, 'release.json'), 'utf8');
  return { ...describedShape.parse(JSON.parse(text)), patch: join(directory, 'release.patch') };
}

async function build(raw: unknown, json: boolean): Promise<void> {
  const options = buildShape.parse(raw);
  const described = await describedIn(options.release);
  const version = options.version ?? described?.version;
  if (version === undefined) throw new InvalidArgumentError('give --version, or --release with a release.json');
  const common = {
    sourceDir: resolve(options.source),
    version,
    securityVersion: options.securityVersion ?? described?.securityVersion ?? 0,
    bases: options.base.map((path) => resolve(path)),
    repository: await openFrom(raw),
    outDir: resolve(options.out),
  };
  const runtime = options.runtime === undefined ? null : resolve(options.runtime);
  const bundle =
    options.component === 'os'
      ? await buildOsRelease({ ...common, ...imageOf(options) })
      : await buildRelease({
          ...common,
          component: options.component,
          patchFile: options.patch ?? described?.patch ?? null,
          state: described?.state ?? null,
          runtime,
          node: runtime ?? process.execPath,
        });
  const { component } = options;
  print(json, { component, version, ...bundle }, `${bundle.path} (${bundle.bytes} bytes, manifest ${bundle.manifest})`);
}

function imageOf({ image, sbom }: { readonly image?: string | undefined; readonly sbom?: string | undefined }) {
  if (image === undefined || sbom === undefined) {
    throw new InvalidArgumentError('an os release needs --image FILE, and --sbom FILE with its bill of materials');
  }
  return { image: resolve(image), sbom: resolve(sbom) };
}

async function os(raw: unknown, json: boolean): Promise<void> {
  const { out, source, version, node } = osShape.parse(raw);
  const sourceDir = resolve(source);
  const commit = await sourceCommit(sourceDir, null);
  const files = await emitOs({ sourceDir, outDir: resolve(out), version, commit, node: resolve(node) });
  print(json, { ...files, version, commit }, `${resolve(out)}: launch.js, updater/, node (updater ${version})`);
}

async function revoke(component: string, version: string, raw: unknown, json: boolean): Promise<void> {
  await revokeRelease(await openFrom(raw), componentShape.parse(component), versionShape.parse(version));
  const text = `${component} ${version} is revoked once the server has the next bundle of this repository`;
  print(json, { component, version, revoked: true }, text);
}

async function list(raw: unknown, json: boolean): Promise<void> {
  const releases = await listReleases(await openFrom(raw));
  print(json, { releases }, releases.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n') || 'no release yet');
}

function whole(text: string): number {
  const parsed = z.coerce.number().int().min(0).safeParse(text);
  if (text === '' || !parsed.success) throw new InvalidArgumentError('a whole number is needed');
  return parsed.data;
}

const program = new Command('holdfast-image')
  .description('Builds signed bundles and keeps the offline part of the release repository.')
  .enablePositionalOptions();
const json = () => new Option('--json', 'print one JSON object').default(false);
const withRepository = (command: Command) =>
  command
    .requiredOption('--repository <dir>', "the operator's directory: keys, metadata, targets")
    .requiredOption('--server-keys <file>', "the server's public-keys.json")
    .addOption(json());

withRepository(program.command('build').description('build one release and write its bundle'))
  .addOption(new Option('--component <name>', 'what to build').choices(componentShape.options).makeOptionMandatory())
  .option('--version <version>', 'the version of the release')
  .option('--release <dir>', 'a directory with release.json and release.patch')
  .option('--patch <file>', 'a unified diff to apply to the source')
  .option('--runtime <file>', 'a Node binary to ship with it')
  .option('--base <file...>', 'bundles of earlier releases to make patches against, the likeliest first')
  .option('--image <file>', 'for os: what a device slot will hold')
  .option('--sbom <file>', 'for os: its bill of materials')
  .option('--security-version <number>', 'rises when older releases must not come back', whole)
  .option('--source <dir>', 'the checkout', checkout)
  .requiredOption('--out <dir>', 'where the bundle goes')
  .action((options) => build(options, options.json));
withRepository(
  program.command('revoke <component> <version>').description('take a release off the signed list'),
).action((component, version, options) => revoke(component, version, options, options.json));
withRepository(program.command('list').description('the releases that the signed list names')).action((options) =>
  list(options, options.json),
);
program
  .command('os')
  .description("write what the operating system's image brings: launch, the updater, Node")
  .requiredOption('--out <dir>', 'an empty directory')
  .requiredOption('--version <version>', 'the version of the updater')
  .option('--source <dir>', 'the checkout', checkout)
  .option('--node <file>', 'the Node binary', process.execPath)
  .addOption(json())
  .action((options) => os(options, options.json));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

/** What a person reads; anything that is not an expected failure is a bug, and crashes. */
function explain(error: unknown): string {
  if (error instanceof ImageError) return `${error.message} (${error.code})\nwhat to do: ${error.next}`;
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof InvalidArgumentError) return error.message;
  throw error;
}
