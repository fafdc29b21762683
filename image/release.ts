import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { type Digest, sha256 } from '../protocol/digest.ts';
import type { ManifestInput } from '../protocol/manifest.ts';
import { cut } from '../protocol/text.ts';
import { type Bundle, buildBundle, nodeRuntime } from './bundle.ts';
import { emitProgram, type ProgramComponent } from './emit.ts';
import { ImageError } from './errors.ts';
import { patchedSource } from './patch.ts';
import type { Repository } from './repository.ts';
import { committedAt, sourceCommit } from './source-commit.ts';
import { buildTexts } from './texts.ts';
import { readFrozenStates, statesDirectory } from './trial/frozen-states.ts';
import { findGround, type TrialGround, tryRuntime } from './trial/trial-root.ts';
import { type TrialOutcome, tryOrders, tryStarts } from './trial/trial-start.ts';

/** Room for ten times the agent's settings and a year of readings; a snapshot of it is copied in a second. */
const stateBytesMaxDefault = 256 * 1024 * 1024;

type State = ManifestInput['compatibility']['state'];

/** What is built, before its destination is known. */
export interface SourceInput {
  /** The checkout. */
  readonly sourceDir: string;
  readonly patchFile: string | null;
  /** The directory of a maker's own work, for an agent; null or absent: none. */
  readonly makerDir?: string | null;
  readonly component: ProgramComponent;
  readonly version: string;
  /** null: the source itself says it (the agent's newest migration), and the release reads everything before it. */
  readonly state: State | null;
  /** The Node binary that the release carries, and is tried on; null, for an updater: the operating system's. */
  readonly runtime: string | null;
  /**
   * Is the agent tried against every frozen state before it is released? Only tests release known broken ones untried.
   */
  readonly triesStarts: boolean;
}

export interface ReleaseInput extends SourceInput {
  readonly securityVersion: number;
  readonly trial?: ManifestInput['trial'];
  /** Bundles of earlier releases to make patches against. */
  readonly bases: readonly string[];
  readonly repository: Repository;
  readonly outDir: string;
}

/** What was built and tried, before anything is signed. */
export interface TriedRelease {
  /** The source, with a mark if something was changed since its commit. */
  readonly commit: string;
  readonly builtBy: string;
  readonly state: State;
  readonly sbom: Digest;
  /** null: not tried. */
  readonly starts: readonly TrialOutcome[] | null;
  /** The runtime and the root that it was tried on; null: not tried. */
  readonly triedOn: { readonly runtime: string; readonly ground: TrialGround } | null;
}

export interface BuiltRelease extends TriedRelease {
  readonly bundle: Bundle;
}

/**
 * From source to signed bundle: copy, patch, emit, prove the version, try its start, describe, sign, write.
 * @throws ImageError
 */
export function buildRelease(input: ReleaseInput): Promise<BuiltRelease> {
  return withTriedRelease(input, async (release, payloadDir, entry) => ({
    ...release,
    bundle: await bundleRelease(input, release, payloadDir, entry),
  }));
}

/** The last part of {@link buildRelease}: describes the emitted directory, signs it and writes its bundle. */
export function bundleRelease(
  input: Omit<ReleaseInput, keyof SourceInput> & Pick<SourceInput, 'component' | 'version' | 'runtime'>,
  { commit, builtBy, state, sbom }: Omit<TriedRelease, 'starts' | 'triedOn'>,
  payloadDir: string,
  entry: string,
): Promise<Bundle> {
  const { component, version, securityVersion, bases, repository, outDir } = input;
  const runtime = input.runtime === null ? null : nodeRuntime(input.runtime);
  return buildBundle({
    payload: { kind: 'tree', dir: payloadDir, entry, runtime },
    component,
    version,
    securityVersion,
    compatibility: { state },
    ...(input.trial === undefined ? {} : { trial: input.trial }),
    stateBytesMax: stateBytesMaxDefault,
    source: { commit, builtBy },
    sbom,
    bases,
    repository,
    outDir,
  });
}

/** {@link buildRelease} without signing or leaving anything behind. @throws ImageError */
export function rehearseRelease(input: SourceInput): Promise<TriedRelease> {
  return withTriedRelease(input, async (release) => release);
}

/** Builds and tries a release in a temporary directory. @throws ImageError */
export async function withTriedRelease<Result>(
  input: SourceInput,
  use: (release: TriedRelease, payloadDir: string, entry: string) => Promise<Result>,
): Promise<Result> {
  const work = await mkdtemp(join(tmpdir(), 'holdfast-build-'));
  try {
    const { component, version, sourceDir, patchFile, makerDir = null } = input;
    const node = input.runtime ?? process.execPath;
    const tree = join(work, 'source');
    const payloadDir = join(work, 'payload');
    const commit = await sourceCommit(sourceDir, patchFile);
    await patchedSource({ sourceDir, patchFile, outDir: tree });
    // An updater's trusted time does not begin before the date of its own source.
    const builtAt = component === 'updater' ? { builtAt: await committedAt(sourceDir) } : {};
    const [{ entry, sbom }, state] = await Promise.all([
      emitProgram({ component, version, commit, ...builtAt, sourceDir: tree, makerDir, outDir: payloadDir, node }),
      input.state ?? stateOf(component, tree),
    ]);
    const trial = await startsOf(input, { payloadDir, entry, reads: state.reads });
    return await use({ commit, builtBy: await builderName(sourceDir), state, sbom, ...trial }, payloadDir, entry);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Only the agent has a state that goes back with a slot. */
async function startsOf(
  { component, version, sourceDir, runtime, triesStarts }: SourceInput,
  built: { readonly payloadDir: string; readonly entry: string; readonly reads: State['reads'] },
): Promise<Pick<TriedRelease, 'starts' | 'triedOn'>> {
  if (!triesStarts || component !== 'app' || runtime === null) return { starts: null, triedOn: null };
  const ground = await findGround();
  const states = await readFrozenStates(statesDirectory(sourceDir));
  const input = { ...built, version, node: runtime, states, ground };
  const triedOn = { runtime: await tryRuntime(ground, input), ground };
  return { starts: [...(await tryStarts(input)), await tryOrders(input)], triedOn };
}

export interface OsReleaseInput {
  /** The content for a device slot. */
  readonly image: string;
  /** Its bill of materials, as a file. */
  readonly sbom: string;
  readonly sourceDir: string;
  readonly version: string;
  readonly securityVersion: number;
  readonly bases: readonly string[];
  readonly repository: Repository;
  readonly outDir: string;
}

/** Makes a signed bundle of an operating system's image that something else has built. @throws ImageError */
export async function buildOsRelease(input: OsReleaseInput): Promise<Bundle> {
  const { image, version, securityVersion, bases, repository, outDir } = input;
  return buildBundle({
    payload: { kind: 'image', file: image },
    component: 'os',
    version,
    securityVersion,
    compatibility: { state: { reads: { min: 0, max: 0 }, writes: 0 } },
    stateBytesMax: 0,
    source: { commit: await sourceCommit(input.sourceDir, null), builtBy: await builderName(input.sourceDir) },
    sbom: sha256(await readFile(input.sbom)),
    bases,
    repository,
    outDir,
  });
}

const schemaTimeoutMs = 120_000;

/** Takes the schema from the built source, so that nobody has to remember to declare it. */
async function stateOf(component: ProgramComponent, tree: string): Promise<State> {
  if (component === 'updater') return { reads: { min: 0, max: 0 }, writes: 0 };
  const url = pathToFileURL(join(tree, 'agent', 'migrations.ts')).href;
  const script = `const { stateSchema } = await import(${JSON.stringify(url)}); process.stdout.write(String(stateSchema));`;
  const result = await execa(process.execPath, ['--input-type=module', '--eval', script], {
    env: { NODE_OPTIONS: '' },
    timeout: schemaTimeoutMs,
    reject: false,
  });
  const schema = z.coerce.number().int().min(0).safeParse(result.stdout);
  if (result.failed || result.stdout === '' || !schema.success) {
    throw new ImageError(
      'build-failed',
      buildTexts.noSchema(cut(`${result.stderr}`.trim(), 400)),
      buildTexts.noSchemaNext,
    );
  }
  return { reads: { min: 0, max: schema.data }, writes: schema.data };
}

async function builderName(sourceDir: string): Promise<string> {
  const text = await readFile(join(sourceDir, 'package.json'), 'utf8');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
  return `holdfast image ${version}, node ${process.version}`;
}
