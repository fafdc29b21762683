import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { type Digest, sha256 } from '../protocol/digest.ts';
import type { ManifestInput } from '../protocol/manifest.ts';
import { type Bundle, buildBundle, nodeRuntime } from './bundle.ts';
import { emitProgram, type ProgramComponent } from './emit.ts';
import { ImageError } from './errors.ts';
import { patchedSource } from './patch.ts';
import type { Repository } from './repository.ts';
import { committedAt, sourceCommit } from './source-commit.ts';
import { readFrozenStates, statesDirectory } from './trial/frozen-states.ts';
import { type TrialOutcome, tryOrders, tryStarts } from './trial/trial-start.ts';

/** The agent's settings and a year of readings fit ten times over; a snapshot of it is copied in a second. */
const stateBytesMaxDefault = 256 * 1024 * 1024;

type State = ManifestInput['compatibility']['state'];

/** What is built, before it is known where it goes. */
export interface SourceInput {
  /** The checkout. */
  readonly sourceDir: string;
  readonly patchFile: string | null;
  readonly component: ProgramComponent;
  readonly version: string;
  /** null: what the source itself says (the agent's newest migration), and reads everything before it. */
  readonly state: State | null;
  /** Runs the built program, to try it. */
  readonly node: string;
  /** Is the agent started against every frozen state before it is released? Only tests release what they know is broken. */
  readonly triesStarts: boolean;
}

export interface ReleaseInput extends SourceInput {
  readonly securityVersion: number;
  readonly trial?: ManifestInput['trial'];
  /** A Node binary to ship with the release; null: the operating system's. */
  readonly runtime: string | null;
  /** Bundles of earlier releases that patches are made against. */
  readonly bases: readonly string[];
  readonly repository: Repository;
  readonly outDir: string;
}

/** What was built and tried, before anything is signed. */
export interface TriedRelease {
  /** The source, with a mark where something was changed since its commit. */
  readonly commit: string;
  readonly builtBy: string;
  readonly state: State;
  readonly sbom: Digest;
  /** null: it was not tried. */
  readonly starts: readonly TrialOutcome[] | null;
}

export interface BuiltRelease extends TriedRelease {
  readonly bundle: Bundle;
}

/**
 * From source to signed bundle: copy, patch, emit, prove the version, try its start, describe, sign, write.
 * @throws ImageError
 */
export function buildRelease(input: ReleaseInput): Promise<BuiltRelease> {
  const { component, version, securityVersion, bases, repository, outDir } = input;
  return tried(input, async (release, payloadDir, entry) => {
    const runtime = input.runtime === null ? null : nodeRuntime(input.runtime);
    const { commit, builtBy, state, sbom } = release;
    const bundle = await buildBundle({
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
    return { ...release, bundle };
  });
}

/** All of {@link buildRelease} that neither signs nor writes anything that stays. @throws ImageError */
export function rehearseRelease(input: SourceInput): Promise<TriedRelease> {
  return tried(input, async (release) => release);
}

/** Builds and tries a release in a directory that is gone afterwards. */
async function tried<Result>(
  input: SourceInput,
  use: (release: TriedRelease, payloadDir: string, entry: string) => Promise<Result>,
): Promise<Result> {
  const work = await mkdtemp(join(tmpdir(), 'holdfast-build-'));
  try {
    const { component, version, sourceDir, patchFile, node } = input;
    const tree = join(work, 'source');
    const payloadDir = join(work, 'payload');
    const commit = await sourceCommit(sourceDir, patchFile);
    await patchedSource({ sourceDir, patchFile, outDir: tree });
    // An updater's trusted time does not begin before its own source.
    const builtAt = component === 'updater' ? { builtAt: await committedAt(sourceDir) } : {};
    const [{ entry, sbom }, state] = await Promise.all([
      emitProgram({ component, version, commit, ...builtAt, sourceDir: tree, outDir: payloadDir, node }),
      input.state ?? stateOf(component, tree, node),
    ]);
    const starts = await startsOf(input, { payloadDir, entry, reads: state.reads });
    return await use({ commit, builtBy: await builderName(sourceDir), state, sbom, starts }, payloadDir, entry);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Only the agent keeps a state that goes back with a slot. */
async function startsOf(
  { component, version, sourceDir, node, triesStarts }: SourceInput,
  built: { readonly payloadDir: string; readonly entry: string; readonly reads: State['reads'] },
): Promise<readonly TrialOutcome[] | null> {
  if (!triesStarts || component !== 'app') return null;
  const input = { ...built, version, node, states: await readFrozenStates(statesDirectory(sourceDir)) };
  return [...(await tryStarts(input)), await tryOrders(input)];
}

export interface OsReleaseInput {
  /** What a device slot will hold. */
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

/** An image of the operating system, which something else has built, as a signed bundle. @throws ImageError */
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

const schemaTimeoutMs = 20_000;

/** The schema is asked of the source that is built, so that nobody has to remember to declare it. */
async function stateOf(component: ProgramComponent, tree: string, node: string): Promise<State> {
  if (component === 'updater') return { reads: { min: 0, max: 0 }, writes: 0 };
  const url = pathToFileURL(join(tree, 'agent', 'migrations.ts')).href;
  const script = `const { stateSchema } = await import(${JSON.stringify(url)}); process.stdout.write(String(stateSchema));`;
  const result = await execa(node, ['--input-type=module', '--eval', script], {
    env: { NODE_OPTIONS: '' },
    timeout: schemaTimeoutMs,
    reject: false,
  });
  const schema = z.coerce.number().int().min(0).safeParse(result.stdout);
  if (result.failed || result.stdout === '' || !schema.success) {
    throw new ImageError(
      'build-failed',
      `agent/migrations.ts does not say its state schema: ${`${result.stderr}`.trim().slice(0, 400)}`,
      'export stateSchema from it, or declare the state of this release',
    );
  }
  return { reads: { min: 0, max: schema.data }, writes: schema.data };
}

async function builderName(sourceDir: string): Promise<string> {
  const text = await readFile(join(sourceDir, 'package.json'), 'utf8');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
  return `holdfast image ${version}, node ${process.version}`;
}
