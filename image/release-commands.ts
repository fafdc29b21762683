import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { type TrialAsked, trialAskedShape } from '../protocol/manifest.ts';
import { versionShape } from '../protocol/version.ts';
import type { Bundle } from './bundle.ts';
import { writeMetadataBundle } from './ceremony/metadata-bundle.ts';
import { buildOsRelease, buildRelease, type OsReleaseInput, rehearseRelease, type TriedRelease } from './release.ts';
import { listReleases, requireRepository, revokeRelease, withoutRelease } from './repository.ts';
import { readRoots } from './repository-metadata.ts';
import { dryShape, jsonOption, openFrom, placeOf, repositoryShape, withRepository } from './repository-options.ts';
import { sourceCommit } from './source-commit.ts';
import { addSourcesCommands } from './sources-commands.ts';
import { type Print, wholeNumber } from './terminal.ts';
import { verifiedText, verifyBundle } from './verify/verify-bundle.ts';

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
  trial: trialAskedShape.optional(),
});

const dry = dryShape.shape;
const buildShape = repositoryShape.extend({
  ...dry,
  component: componentShape,
  version: versionShape.optional(),
  release: z.string().optional(),
  patch: z.string().optional(),
  runtime: z.string().optional(),
  base: z.array(z.string()).default([]),
  image: z.string().optional(),
  sbom: z.string().optional(),
  trialStart: z.boolean(),
  securityVersion: z.int().optional(),
  healthyS: z.int().optional(),
  deadlineS: z.int().optional(),
  migrationS: z.int().optional(),
  out: z.string(),
  source: z.string(),
});
const revokeShape = repositoryShape.extend(dry);
const verifyShape = z.object({ root: z.string().optional(), json: z.boolean().default(false) });

/** `build`, `revoke`, `list`, `verify`: the releases of the operator's repository. */
export function addReleaseCommands(program: Command, checkout: string, print: Print): void {
  withRepository(program.command('build').description('build one release, try its start, sign it, write its bundle'))
    .addOption(new Option('--component <name>', 'what to build').choices(componentShape.options).makeOptionMandatory())
    .option('--version <version>', 'the version of the release')
    .option('--release <dir>', 'a directory with release.json and release.patch')
    .option('--patch <file>', 'a unified diff to apply to the source')
    .option('--runtime <file>', 'a Node binary to ship with it')
    .option('--base <file...>', 'bundles of earlier releases to make patches against, the likeliest first')
    .option('--image <file>', 'for os: what a device slot will hold')
    .option('--sbom <file>', 'for os: its bill of materials')
    .option('--security-version <number>', 'rises when older releases must not come back', wholeNumber)
    .option('--healthy-s <seconds>', 'for app: a longer trial than the standard one, in healthy time', wholeNumber)
    .option('--deadline-s <seconds>', 'for app: a later end of the trial', wholeNumber)
    .option('--migration-s <seconds>', 'for app: how long it may migrate its state, beside the deadline', wholeNumber)
    .option('--source <dir>', 'the checkout', checkout)
    .option('--no-trial-start', 'do not start the agent against the frozen states first')
    .option('--dry-run', 'build and try it, but sign and write nothing')
    .requiredOption('--out <dir>', 'where the bundle goes')
    .action((options) => build(buildShape.parse(options), print));
  withRepository(program.command('revoke <component> <version>').description('take a release off the signed list'))
    .option('--dry-run', 'say what would be done, and change nothing')
    .action((component, version, options) =>
      revoke(componentShape.parse(component), versionShape.parse(version), revokeShape.parse(options), print),
    );
  withRepository(program.command('list').description('the releases that the signed list names')).action((options) =>
    list(options, print),
  );
  addSourcesCommands(program, print);
  program
    .command('verify <file>')
    .description('check a bundle as a server and an appliance do, and say what it is')
    .option('--root <file>', 'the root of trust that an appliance has (metadata/1.root.json of the repository)')
    .addOption(jsonOption())
    .action((file, options) => verify(resolve(file), verifyShape.parse(options), print));
}

async function describedIn(directory: string | undefined) {
  if (directory === undefined) return null;
  const text = await readFile(join(directory, 'release.json'), 'utf8');
  return { ...describedShape.parse(JSON.parse(text)), patch: join(directory, 'release.patch') };
}

/** What the release asks of its trial: the command line first, then what describes it. An appliance only lengthens by it. */
function trialAsked(
  { healthyS, deadlineS, migrationS }: z.infer<typeof buildShape>,
  described: TrialAsked | undefined,
): TrialAsked | undefined {
  if (healthyS === undefined && deadlineS === undefined && migrationS === undefined) return described;
  const ms = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1_000);
  const healthyMs = ms(healthyS) ?? described?.healthyMs ?? 0;
  const migrationMs = ms(migrationS) ?? described?.migrationMs;
  const asked = {
    healthyMs,
    deadlineMs: ms(deadlineS) ?? described?.deadlineMs ?? healthyMs,
    ...(migrationMs === undefined ? {} : { migrationMs }),
  };
  const parsed = trialAskedShape.safeParse(asked);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('a trial ends after its healthy time, and each of its times is a day at the most');
}

async function build(options: z.infer<typeof buildShape>, print: Print): Promise<void> {
  const described = await describedIn(options.release);
  const version = options.version ?? described?.version;
  if (version === undefined) throw new InvalidArgumentError('give --version, or --release with a release.json');
  const { component, json, dryRun } = options;
  const outDir = resolve(options.out);
  const signing = {
    securityVersion: options.securityVersion ?? described?.securityVersion ?? 0,
    bases: options.base.map((file) => resolve(file)),
    outDir,
  };
  if (component === 'os') return buildOs(options, { ...signing, version }, print);
  const runtime = options.runtime === undefined ? null : resolve(options.runtime);
  const source = {
    sourceDir: resolve(options.source),
    patchFile: options.patch ?? described?.patch ?? null,
    component,
    version,
    state: described?.state ?? null,
    node: runtime ?? process.execPath,
    triesStarts: options.trialStart,
  };
  const trial = trialAsked(options, described?.trial);
  if (dryRun) {
    await requireFitting(options);
    const tried = await rehearseRelease(source);
    const text = [...triedLines(tried), `${component} ${version} would be signed, and written into ${outDir}`];
    return print(json, { dryRun, component, version, ...tried }, text.join('\n'));
  }
  const repository = await openFrom(options);
  const { bundle, ...tried } = await buildRelease({
    ...source,
    ...signing,
    ...(trial === undefined ? {} : { trial }),
    runtime,
    repository,
  });
  print(json, { component, version, ...bundle, ...tried }, [...triedLines(tried), writtenLine(bundle)].join('\n'));
}

async function buildOs(
  options: z.infer<typeof buildShape>,
  signing: Omit<OsReleaseInput, 'image' | 'sbom' | 'sourceDir' | 'repository'>,
  print: Print,
): Promise<void> {
  const { component, json, dryRun, image, sbom } = options;
  const { version } = signing;
  if (image === undefined || sbom === undefined) {
    throw new InvalidArgumentError('an os release needs --image FILE, and --sbom FILE with its bill of materials');
  }
  if (dryRun) {
    await requireFitting(options);
    const commit = await sourceCommit(resolve(options.source), null);
    return print(json, { dryRun, component, version, commit }, `os ${version} would be signed, of ${resolve(image)}`);
  }
  const files = { image: resolve(image), sbom: resolve(sbom), sourceDir: resolve(options.source) };
  const bundle = await buildOsRelease({ ...signing, ...files, repository: await openFrom(options) });
  print(json, { component, version, ...bundle }, writtenLine(bundle));
}

/** As {@link openFrom}, but makes nothing. */
async function requireFitting(options: z.infer<typeof buildShape>): Promise<void> {
  const place = await placeOf(options);
  if ((await readRoots(place.dir)).length > 0) await requireRepository(place);
}

function writtenLine({ path, bytes, manifest }: Bundle): string {
  return `${path} (${bytes} bytes, manifest ${manifest})`;
}

function triedLines({ commit, starts }: TriedRelease): string[] {
  const changes = commit.includes('+') ? ', with changes that this commit does not have' : '';
  const lines = starts?.map((one) =>
    one.outcome === 'came-up'
      ? `started with the state ${one.state} in ${one.ms} ms`
      : `NOT started with the state ${one.state}: ${one.why}`,
  );
  return [`source ${commit}${changes}`, ...(lines ?? ['its start was not tried'])];
}

async function revoke(
  component: z.infer<typeof componentShape>,
  version: string,
  options: z.infer<typeof revokeShape>,
  print: Print,
): Promise<void> {
  const { json, dryRun } = options;
  if (dryRun) {
    const signed = await requireRepository(await placeOf(options));
    const rest = withoutRelease(signed.trusted, component, version).length;
    const text = `${component} ${version} would be taken off the list; ${rest} would stay. What runs it would go on`;
    return print(json, { dryRun, component, version, revoked: false }, text);
  }
  const repository = await openFrom(options);
  const bundle = await writeMetadataBundle(repository.dir, await revokeRelease(repository, component, version));
  const text = `${component} ${version} is revoked once the server has this or the next bundle: holdfast release publish ${bundle}`;
  print(json, { component, version, revoked: true, bundle }, text);
}

async function list(raw: unknown, print: Print): Promise<void> {
  const { json, ...options } = repositoryShape.extend({ json: dry.json }).parse(raw);
  const releases = await listReleases(await openFrom(options));
  print(json, { releases }, releases.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n') || 'no release yet');
}

async function verify(path: string, { root, json }: z.infer<typeof verifyShape>, print: Print): Promise<void> {
  const given = root === undefined ? null : await readFile(resolve(root));
  const verified = await verifyBundle(path, given, new Date());
  print(json, verified, verifiedText(path, verified));
}
