import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { CliError } from '../../server-lite/cli/cli-error.ts';
import { pathOfProfile, profileExists, readStored, storyProfile, writeProfile } from '../../server-lite/cli/profile.ts';

export interface StoryProfile {
  /** What a person types to reach the story's server. */
  readonly command: string;
  /** Takes the profile away again, unless another story has written it since. */
  remove(): void;
}

/**
 * Lets `npx holdfast` reach the story. An operator's own connection is never touched: the words say whose server is meant.
 * Where nothing can be written at home, they name the file in the story's own directory.
 * @param file the same connection in the story's own directory
 * @param directory where `holdfast` looks
 */
export function tellCommandLine(
  server: { readonly url: string; readonly token: string },
  file: string,
  directory: string,
): StoryProfile {
  const profile = { url: server.url, token: server.token, allowHttp: false };
  try {
    writeProfile(pathOfProfile(directory, storyProfile), profile);
  } catch (error) {
    if (!(error instanceof CliError || (error instanceof Error && 'syscall' in error))) throw error;
    return { command: `HOLDFAST_CONFIG=${file} npx holdfast`, remove: () => undefined };
  }
  return {
    // Named even where nothing else is stored: the environment, or a connection that is stored later, goes before it.
    command: `npx holdfast --profile ${storyProfile}`,
    remove: () => {
      if (!profileExists(directory, storyProfile)) return;
      if (isDeepStrictEqual(readStored(directory, storyProfile), profile))
        rmSync(pathOfProfile(directory, storyProfile));
    },
  };
}
