import { join } from 'node:path';
import { z } from 'zod';
import { type Version, versionShape } from '../protocol/version.ts';
import type { AgentFiles } from './effects/effects.ts';
import { AgentError } from './errors.ts';
import { agentTexts } from './texts.ts';

/** release.json, beside the program: the build's description of itself. */
const releaseShape = z.object({ component: z.literal('app'), version: versionShape, commit: z.string().max(80) });
const releaseBytesMax = 4_096;

/** The version of a checkout, which was never built. */
const developmentVersion = '0.0.0-dev';

/** @throws AgentError `release-invalid` */
export async function readVersion(files: AgentFiles, directory: string): Promise<Version> {
  const path = join(directory, 'release.json');
  try {
    const text = await files.readText(path, releaseBytesMax);
    if (text === null) return developmentVersion;
    return releaseShape.parse(JSON.parse(text)).version;
  } catch (cause) {
    throw new AgentError('release-invalid', agentTexts.noRelease(path), agentTexts.noReleaseNext, {
      cause,
    });
  }
}
