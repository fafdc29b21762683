import { z } from 'zod';
import type { Layout } from '../protocol/layout.ts';
import type { CommandLine } from './command-line.ts';
import { type Files, scratchFiles } from './effects/files.ts';
import type { Http } from './effects/http.ts';
import { loadPublicIdentity } from './identity.ts';
import { ReleaseError } from './release/release-error.ts';
import { resolveFromFile, resolveFromServer } from './release/resolve-release.ts';
import { loadSettings } from './settings.ts';
import { loadState, saveState } from './state-store.ts';
import { acceptanceOf } from './steps/acceptance.ts';
import { transactionOf } from './transitions.ts';

/**
 * `probe`: what an updater must be able to do before it goes on trial. Its predecessor runs it as a child that can write
 * nowhere but in a scratch directory, which looks like an appliance and holds copies of what must be read.
 */

/** One line on standard output; what the predecessor looks at beside the exit status and the record. */
export const probeShape = z.object({
  v: z.literal(1),
  version: z.string().max(64),
  /** null: all that was to be done was done. */
  failed: z.object({ code: z.string().max(64), message: z.string().max(600) }).nullable(),
});
export type Probe = z.infer<typeof probeShape>;

export interface ProbeEffects {
  readonly files: Files;
  /** Of the scratch directory. */
  readonly layout: Layout;
  readonly http: Http;
  readonly version: string;
  /** The bundle, where somebody brought it; null: it came from the server. */
  readonly file: string | null;
}

/** Reads and writes the record, reaches the source of its own release, and verifies what is signed there. */
export async function probe({ files, layout, http, version, file }: ProbeEffects): Promise<Probe> {
  const settings = loadSettings(files, layout);
  const state = loadState(files, layout);
  saveState(files, layout, state);
  const { component, version: wanted, manifest, source, kind } = transactionOf(state);
  const acceptance = acceptanceOf({ version, settings }, state, kind === 'install');
  const log = () => undefined;
  try {
    const base = `${loadPublicIdentity(files, layout)?.url.replace(/\/$/, '')}${source.path}`;
    const release =
      file !== null
        ? await resolveFromFile({ files, layout }, file, acceptance)
        : await resolveFromServer(
            { files, layout, http, log },
            base,
            { component, version: wanted, manifest },
            acceptance,
          );
    release.bundle.source.close();
    return { v: 1, version, failed: null };
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    return { v: 1, version, failed: { code: error.code, message: error.message.slice(0, 600) } };
  }
}

export async function probeCommand(line: CommandLine): Promise<number> {
  const { layout, version, words } = line;
  const files = scratchFiles;
  const { wayOut } = await import('./release/way-out.ts');
  const result = await probe({ files, layout, version, http: wayOut({ files, layout }, {}), file: words[1] ?? null });
  line.print(JSON.stringify(result));
  return result.failed === null ? 0 : 1;
}
