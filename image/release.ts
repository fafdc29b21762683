import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { sha256 } from '../protocol/digest.ts';
import type { ManifestInput } from '../protocol/manifest.ts';
import { type Bundle, buildBundle, nodeRuntime } from './bundle.ts';
import { emitProgram, type ProgramComponent } from './emit.ts';
import { ImageError } from './errors.ts';
import { patchedSource } from './patch.ts';
import type { Repository } from './repository.ts';
import { sourceCommit } from './source-commit.ts';

/** The agent's settings and a year of readings fit ten times over; a snapshot of it is copied in a second. */
const stateBytesMaxDefault = 256 * 1024 * 1024;

type State = ManifestInput['compatibility']['state'];

export interface ReleaseInput {
  /** The checkout. */
  readonly sourceDir: string;
  readonly patchFile: string | null;
  readonly component: ProgramComponent;
  readonly version: string;
  readonly securityVersion: number;
  /** null: what the source itself says (the agent's newest migration), and reads everything before it. */
  readonly state: State | null;
  readonly trial?: ManifestInput['trial'];
  /** A Node binary to ship with the release; null: the operating system's. */
  readonly runtime: string | null;
  /** Runs the built program once. */
  readonly node: string;
  /** Bundles of earlier releases that patches are made against. */
  readonly bases: readonly string[];
  readonly repository: Repository;
  readonly outDir: string;
}

/**
 * From source to signed bundle: copy, patch, emit, prove the version, describe, sign, write.
 * @throws ImageError
 */
export async function buildRelease(input: ReleaseInput): Promise<Bundle> {
  const work = await mkdtemp(join(tmpdir(), 'holdfast-build-'));
  try {
    const { component, version } = input;
    const tree = join(work, 'source');
    const payloadDir = join(work, 'payload');
    const commit = await sourceCommit(input.sourceDir, input.patchFile);
    await patchedSource({ sourceDir: input.sourceDir, patchFile: input.patchFile, outDir: tree });
    const [program, state] = await Promise.all([
      emitProgram({ component, version, commit, sourceDir: tree, outDir: payloadDir, node: input.node }),
      input.state ?? stateOf(component, tree, input.node),
    ]);
    return await buildBundle({
      payload: {
        kind: 'tree',
        dir: payloadDir,
        entry: program.entry,
        runtime: input.runtime === null ? null : nodeRuntime(input.runtime),
      },
      component,
      version,
      securityVersion: input.securityVersion,
      compatibility: { state },
      ...(input.trial === undefined ? {} : { trial: input.trial }),
      stateBytesMax: stateBytesMaxDefault,
      source: { commit, builtBy: await builderName(input.sourceDir) },
      sbom: program.sbom,
      bases: input.bases,
      repository: input.repository,
      outDir: input.outDir,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
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
