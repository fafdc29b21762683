import { join } from 'node:path';
import { z } from 'zod';
import { type Version, versionShape } from '../protocol/version.ts';
import type { AgentFiles } from './effects/effects.ts';
import { AgentError } from './errors.ts';

/** release.json, beside the program: what the build says that it is. */
const releaseShape = z.object({ component: z.literal('app'), version: versionShape, commit: z.string().max(80) });
const releaseBytesMax = 4_096;

/** What a checkout, which nobody built, says of itself. */
const developmentVersion = '0.0.0-dev';

/** @throws AgentError `release-invalid` */
export async function readVersion(files: AgentFiles, directory: string): Promise<Version> {
  const path = join(directory, 'release.json');
  const text = await files.readText(path, releaseBytesMax);
  if (text === null) return developmentVersion;
  try {
    return releaseShape.parse(JSON.parse(text)).version;
  } catch (cause) {
    throw new AgentError('release-invalid', `${path} is not a release's description`, 'install this release again', {
      cause,
    });
  }
}
