import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Database } from 'better-sqlite3';
import { z } from 'zod';
import type { Duty } from '../duties/definition.ts';
import { dutyValuesIn } from '../duties/duty-store.ts';
import { threadDuty } from '../duties/thread-duty.ts';
import type { AgentFiles, Log } from '../effects/effects.ts';
import { AgentError } from '../errors.ts';
import { agentTexts, dutyTexts } from '../texts.ts';
import { catalogueShape } from './catalogue.ts';
import { scheduledDuty } from './duty-shape.ts';

const catalogueBytesMax = 1024 * 1024;

/** Where a release has its maker's part; both files are there or none is. */
export interface MakerPart {
  readonly catalogue: string;
  readonly module: string;
  /** The program of a duty's thread. */
  readonly thread: string;
}

export function makerPartIn(directory: string): MakerPart {
  return {
    catalogue: join(directory, 'maker.json'),
    module: join(directory, 'maker.js'),
    thread: join(directory, 'thread.js'),
  };
}

/**
 * The duties of the release's maker. @throws AgentError `release-invalid` when the description cannot be read: such a
 * release never passes its trial
 */
export async function madeDuties(
  files: AgentFiles,
  part: MakerPart,
  stores: { readonly database: Database; readonly log: Log },
): Promise<Duty[]> {
  try {
    const text = await files.readText(part.catalogue, catalogueBytesMax);
    if (text === null) return [];
    return catalogueShape.parse(JSON.parse(text)).duties.map((described) => {
      const { name } = described;
      const values = dutyValuesIn(stores.database, name);
      return threadDuty(scheduledDuty(described), {
        entry: pathToFileURL(part.thread),
        start: { module: pathToFileURL(part.module).href, duty: name },
        log: (level, line) => stores.log[level]({ duty: name, line }, dutyTexts.says),
        answer: (method, args) => answerOf(values, method, args),
      });
    });
  } catch (cause) {
    throw new AgentError('release-invalid', agentTexts.noRelease(part.catalogue), agentTexts.noReleaseNext, { cause });
  }
}

const argsShape = z.tuple([z.string()], z.unknown());

function answerOf(values: ReturnType<typeof dutyValuesIn>, method: string, args: unknown): unknown {
  const [key, value] = argsShape.parse(args);
  if (method === 'store.get') return values.get(key);
  if (method === 'store.set') values.set(key, value);
  else if (method === 'store.delete') values.delete(key);
  else throw new RangeError(dutyTexts.noMethod(method));
  return null;
}
