import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../protocol/known-fields.ts';
import { type TrialAsked, trialAskedShape } from '../protocol/manifest.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { TrustError } from '../protocol/trust/trust-error.ts';
import { trustRoot } from '../protocol/trust/tuf.ts';
import { versionShape } from '../protocol/version.ts';
import { parseWritten } from '../protocol/written-json.ts';
import type { Bundle } from './bundle.ts';
import { writeMetadataBundle } from './ceremony/metadata-bundle.ts';
import { ImageError } from './errors.ts';
import { buildOsRelease, buildRelease, type OsReleaseInput, rehearseRelease, type TriedRelease } from './release.ts';
import { listReleases, requireRepository, revokeRelease, withoutRelease } from './repository.ts';
import {
  dryShape,
  jsonOption,
  openFrom,
  placeOf,
  repositoryShape,
  signableIn,
  withRepository,
  withSigning,
} from './repository-options.ts';
import { sourceCommit } from './source-commit.ts';
import { addSourcesCommands } from './sources-commands.ts';
import { type Print, wholeNumber } from './terminal.ts';
import { buildTexts, commandTexts, verifyTexts } from './texts.ts';
import type { RanWork } from './trial/trial-server.ts';
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
  /** For people: the origin of the patch, and the purpose of the release. */
  from: z.unknown(),
  note: z.unknown(),
});

const dry = dryShape.shape;
const buildShape = repositoryShape.extend({
  ...dry,
  component: componentShape,
  version: versionShape.optional(),
  release: z.string().optional(),
  patch: z.string().optional(),
  with: z.string().optional(),
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
  withSigning(program.command('build').description(commandTexts.build))
    .addOption(
      new Option('--component <name>', commandTexts.buildComponent)
        .choices(componentShape.options)
        .makeOptionMandatory(),
    )
    .option('--version <version>', commandTexts.buildVersion)
    .option('--release <dir>', commandTexts.buildRelease)
    .option('--patch <file>', commandTexts.buildPatch)
    .option('--with <dir>', commandTexts.buildWith)
    .option('--runtime <file>', commandTexts.buildRuntime)
    .option('--base <file...>', commandTexts.buildBase)
    .option('--image <file>', commandTexts.buildImage)
    .option('--sbom <file>', commandTexts.buildSbom)
    .option('--security-version <number>', commandTexts.buildSecurityVersion, wholeNumber)
    .option('--healthy-s <seconds>', commandTexts.buildHealthy, wholeNumber)
    .option('--deadline-s <seconds>', commandTexts.buildDeadline, wholeNumber)
    .option('--migration-s <seconds>', commandTexts.buildMigration, wholeNumber)
    .option('--source <dir>', commandTexts.checkout, checkout)
    .option('--no-trial-start', commandTexts.buildNoTrialStart)
    .option('--dry-run', commandTexts.buildDryRun)
    .requiredOption('--out <dir>', commandTexts.buildOut)
    .action((options) => build(buildShape.parse(options), print));
  withSigning(program.command('revoke <component> <version>').description(commandTexts.revoke))
    .option('--dry-run', commandTexts.dryRun)
    .action((component, version, options) =>
      revoke(componentShape.parse(component), versionShape.parse(version), revokeShape.parse(options), print),
    );
  withRepository(program.command('list').description(commandTexts.list)).action((options) => list(options, print));
  addSourcesCommands(program, print);
  program
    .command('verify <file>')
    .description(commandTexts.verify)
    .option('--root <file>', commandTexts.verifyRoot)
    .addOption(jsonOption())
    .action((file, options) => verify(resolve(file), verifyShape.parse(options), print));
}

/** Reads the description in a directory with release.json and release.patch. @throws ImageError `release-invalid` */
export async function describedIn(directory: string | undefined) {
  if (directory === undefined) return null;
  const path = join(directory, 'release.json');
  const text = await readFile(path, 'utf8');
  try {
    const found: unknown = parseWritten(text);
    const unknown = unknownFieldsText(unknownFields(describedShape, found));
    if (unknown !== '') throw new ImageError('release-invalid', `${path}: ${unknown}`, buildTexts.releaseNext);
    return { ...describedShape.parse(found), patch: join(directory, 'release.patch') };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
    const why = cause instanceof z.ZodError ? shapeProblem(cause) : cause.message;
    throw new ImageError('release-invalid', buildTexts.noDescription(path, why), buildTexts.releaseNext, {
      cause,
    });
  }
}

/**
 * The wanted trial: from the command line first, then from the description. An appliance only ever lengthens its trial.
 */
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
  throw new InvalidArgumentError(buildTexts.trialTimes);
}

async function build(options: z.infer<typeof buildShape>, print: Print): Promise<void> {
  const described = await describedIn(options.release);
  const version = options.version ?? described?.version;
  if (version === undefined) throw new InvalidArgumentError(buildTexts.noVersion);
  const { component, json, dryRun } = options;
  const outDir = resolve(options.out);
  const signing = {
    securityVersion: options.securityVersion ?? described?.securityVersion ?? 0,
    bases: options.base.map((file) => resolve(file)),
    outDir,
  };
  if (component === 'os') return buildOs(options, { ...signing, version }, print);
  if (component !== 'app' && options.with !== undefined) throw new InvalidArgumentError(buildTexts.withApp);
  const sourceDir = resolve(options.source);
  const source = {
    sourceDir,
    makerDir: options.with === undefined ? null : resolve(options.with),
    patchFile: options.patch ?? described?.patch ?? null,
    component,
    version,
    state: described?.state ?? null,
    runtime: runtimeOf(component, options.runtime, sourceDir),
    triesStarts: options.trialStart,
  };
  const trial = trialAsked(options, described?.trial);
  if (dryRun) {
    await signableIn(options);
    const tried = await rehearseRelease(source);
    const text = [...triedLines(tried), commandTexts.wouldBeSigned(component, version, outDir)];
    return print(json, { dryRun, component, version, ...tried }, text.join('\n'));
  }
  const repository = await openFrom(options);
  const { bundle, ...tried } = await buildRelease({
    ...source,
    ...signing,
    ...(trial === undefined ? {} : { trial }),
    repository,
  });
  print(json, { component, version, ...bundle, ...tried }, [...triedLines(tried), writtenLine(bundle)].join('\n'));
}

/** An agent carries the Node that its checkout pins, unless another is given; an updater runs on the system's. */
function runtimeOf(component: 'app' | 'updater', given: string | undefined, sourceDir: string): string | null {
  if (given === undefined && component === 'updater') return null;
  const path = given === undefined ? join(sourceDir, 'node_modules', 'node', 'bin', 'node') : resolve(given);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path;
  throw new ImageError('runtime-missing', buildTexts.noRuntime(path), buildTexts.noRuntimeNext);
}

async function buildOs(
  options: z.infer<typeof buildShape>,
  signing: Omit<OsReleaseInput, 'image' | 'sbom' | 'sourceDir' | 'repository'>,
  print: Print,
): Promise<void> {
  const { component, json, dryRun, image, sbom } = options;
  const { version } = signing;
  if (image === undefined || sbom === undefined) {
    throw new InvalidArgumentError(buildTexts.osFilesMissing);
  }
  if (dryRun) {
    await signableIn(options);
    const commit = await sourceCommit(resolve(options.source), null);
    return print(json, { dryRun, component, version, commit }, commandTexts.osWouldBeSigned(version, resolve(image)));
  }
  const files = { image: resolve(image), sbom: resolve(sbom), sourceDir: resolve(options.source) };
  const bundle = await buildOsRelease({ ...signing, ...files, repository: await openFrom(options) });
  print(json, { component, version, ...bundle }, writtenLine(bundle));
}

function writtenLine({ path, bytes, manifest }: Bundle): string {
  return commandTexts.written(path, bytes, manifest);
}

function triedLines({ commit, starts, triedOn }: TriedRelease): string[] {
  const changes = commit.includes('+') ? commandTexts.withChanges : '';
  const lines = starts?.flatMap((one) =>
    one.outcome === 'came-up'
      ? [commandTexts.started(one.state, one.ms), ...(one.work ?? []).map(workLine)]
      : [commandTexts.notStarted(one.state, one.why)],
  );
  return [commandTexts.source(commit, changes), ...groundLines(triedOn), ...(lines ?? [commandTexts.notTried])];
}

/** What fails here may be for want of what only an appliance has. */
function workLine({ name, error }: RanWork): string {
  const [first = ''] = error.split('\n');
  return error === '' ? commandTexts.workRan(name) : commandTexts.workFailed(name, first);
}

function groundLines(triedOn: TriedRelease['triedOn']): string[] {
  if (triedOn === null) return [];
  const { runtime, ground } = triedOn;
  return ground.kind === 'own-root'
    ? [commandTexts.triedAlone(runtime)]
    : [commandTexts.triedHere(runtime, ground.why), commandTexts.triedHereNext];
}

async function revoke(
  component: z.infer<typeof componentShape>,
  version: string,
  options: z.infer<typeof revokeShape>,
  print: Print,
): Promise<void> {
  const { json, dryRun } = options;
  if (dryRun) {
    const signed = await signableIn(options);
    const rest = withoutRelease(signed.trusted, component, version).length;
    const text = commandTexts.wouldBeRevoked(component, version, rest);
    return print(json, { dryRun, component, version, revoked: false }, text);
  }
  const repository = await openFrom(options);
  const bundle = await writeMetadataBundle(repository.dir, await revokeRelease(repository, component, version));
  const text = commandTexts.revoked(component, version, bundle);
  print(json, { component, version, revoked: true, bundle }, text);
}

async function list(raw: unknown, print: Print): Promise<void> {
  const { json, ...options } = repositoryShape.extend({ json: dry.json }).parse(raw);
  const place = await placeOf(options);
  await requireRepository(place);
  const releases = await listReleases(place);
  print(json, releases, releases.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n') || commandTexts.noRelease);
}

/** @throws ImageError `root-unusable`: what the person named, before the bundle is blamed */
async function givenRoot(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  try {
    trustRoot(bytes);
    return bytes;
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new ImageError('root-unusable', verifyTexts.noRootFile(path, cause.message), verifyTexts.noRootFileNext, {
      cause,
    });
  }
}

async function verify(path: string, { root, json }: z.infer<typeof verifyShape>, print: Print): Promise<void> {
  const given = root === undefined ? null : await givenRoot(resolve(root));
  const verified = await verifyBundle(path, given, new Date());
  print(json, verified, verifiedText(path, verified));
}
