import { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
import type { Layout } from '../../protocol/layout.ts';
import { cut } from '../../protocol/text.ts';
import { acceptanceOf } from '../choice/acceptance.ts';
import type { CommandLine } from '../effects/command-line.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import { scratchFiles } from '../effects/scratch-files.ts';
import { loadPublicIdentity } from '../identity/identity.ts';
import { loadSettings } from '../identity/settings.ts';
import { transactionOf } from '../machine/transaction.ts';
import { loadState, saveState } from '../record/state-store.ts';
import { resolveFromFile, resolveFromServer } from '../release/resolve-release.ts';
import { ReleaseError } from '../trust/release-error.ts';

/**
 * `probe`: what an updater must be able to do before it goes on trial. Its predecessor runs it as a child that can
 * write only in a scratch directory, which looks like an appliance and holds copies of what must be read.
 */

/** One line on standard output, which the predecessor reads besides the exit status and the record. */
export const probeShape = z.object({
  v: z.literal(1),
  version: z.string().max(64),
  /** null: everything was done. */
  failed: z.object({ code: z.string().max(64), message: z.string().max(600) }).nullable(),
});
export type Probe = z.infer<typeof probeShape>;

export interface ProbeEffects {
  readonly files: Files;
  /** The layout of the scratch directory. */
  readonly layout: Layout;
  readonly http: Http;
  readonly version: string;
  /** The bundle, if somebody brought it; null: the release came from the server. */
  readonly file: string | null;
}

/** Reads and writes the record, reaches the source of its own release, and verifies the signatures there. */
export async function probe({ files, layout, http, version, file }: ProbeEffects): Promise<Probe> {
  const settings = loadSettings(files, layout);
  const state = loadState(files, layout);
  saveState(files, layout, state);
  const { component, version: wanted, manifest, source, kind } = transactionOf(state);
  const acceptance = acceptanceOf({ version, settings }, state, kind === 'install');
  const log = () => undefined;
  try {
    const base = addressBelow(loadPublicIdentity(files, layout)?.url ?? '', source.path);
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
    return { v: 1, version, failed: { code: error.code, message: cut(error.message, 600) } };
  }
}

export async function probeCommand(line: CommandLine): Promise<number> {
  const { layout, version, words } = line;
  const files = scratchFiles;
  const { networkPath } = await import('../server/network-path.ts');
  const http = networkPath({ files, layout }, {});
  const result = await probe({ files, layout, version, http, file: words[1] ?? null });
  line.print(JSON.stringify(result));
  return result.failed === null ? 0 : 1;
}
