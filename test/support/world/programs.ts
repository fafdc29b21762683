import { copyFileSync, cpSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { emitOs } from '../../../image/os.ts';
import { type SourceInput, type TriedRelease, withTriedRelease } from '../../../image/release.ts';
import { committedAt, sourceCommit } from '../../../image/source-commit.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { treeDigest } from '../hostile/tree-digest.ts';
import { checkout, nodeBinary } from './checkout.ts';
import { openProgramCache, sourcesDigest, thisNode } from './program-cache.ts';

/** Programs of this checkout as its builds emit them, each built once for as long as nothing changes that it is made from. */

const cache = openProgramCache(join(checkout, 'node_modules', '.cache', 'programs'));
/** Of one program, where somebody commits or edits while it is built. */
const buildsMax = 3;

class SourcesChangedError extends Error {
  readonly code = 'sources-changed';
}

const payloadName = 'payload';
const saidName = 'said.json';

const saidShape = z.object({ entry: z.string(), release: z.custom<Omit<TriedRelease, 'starts' | 'triedOn'>>() });

export interface EmittedProgram extends z.infer<typeof saidShape> {
  readonly payloadDir: string;
}

export type ProgramInput = Pick<SourceInput, 'component' | 'version' | 'patchFile' | 'state' | 'makerDir'>;

/** What a build signs as a program; `runtime` is not part of it. */
export async function emittedProgram(input: ProgramInput): Promise<EmittedProgram> {
  const { patchFile, makerDir = null } = input;
  const patch = patchFile === null ? null : sha256(readFileSync(patchFile));
  const directory = await cached(
    ['program', { ...input, patchFile: patch, makerDir: makerDir === null ? null : treeDigest(makerDir) }],
    patchFile,
    async (out) => {
      const source: SourceInput = { ...input, sourceDir: checkout, runtime: null, triesStarts: false };
      await withTriedRelease(source, async ({ commit, builtBy, state, sbom }, payloadDir, entry) => {
        cpSync(payloadDir, join(out, payloadName), { recursive: true });
        writeFileSync(join(out, saidName), JSON.stringify({ entry, release: { commit, builtBy, state, sbom } }));
      });
    },
  );
  const said = saidShape.parse(JSON.parse(readFileSync(join(directory, saidName), 'utf8')));
  return { ...said, payloadDir: join(directory, payloadName) };
}

/** What `npm run bundle -- os` writes into an empty directory. */
export async function placeOs(out: string, version: string): Promise<void> {
  const directory = await cached(['os', version], null, async (made) => {
    const commit = await sourceCommit(checkout, null);
    const { node } = await emitOs({ sourceDir: checkout, outDir: made, version, commit, node: nodeBinary });
    rmSync(node);
  });
  cpSync(directory, out, { recursive: true });
  placeNode(join(out, 'node'));
}

/** The same file by another name: 150 MB for each world are much to write. */
function placeNode(path: string): void {
  try {
    linkSync(nodeBinary, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EXDEV' || error.code === 'EPERM'))) throw error;
    copyFileSync(nodeBinary, path);
  }
}

async function cached(
  what: readonly unknown[],
  patchFile: string | null,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const key = async () => {
    const commit = [await sourceCommit(checkout, patchFile), await committedAt(checkout)];
    return sha256(Buffer.from(JSON.stringify([what, commit, await sourcesDigest(checkout, thisNode())])));
  };
  for (let build = 1; ; build += 1) {
    const before = await key();
    try {
      return await cache.directory(before, async (directory) => {
        await make(directory);
        // Nothing is kept under the name of a source that it was not made from.
        if ((await key()) !== before) throw new SourcesChangedError('the sources were changed while a test built them');
      });
    } catch (error) {
      if (!(error instanceof SourcesChangedError) || build === buildsMax) throw error;
    }
  }
}
