import { z } from 'zod';
import type { AgentFiles } from './effects/effects.ts';
import { systemCode } from './errors.ts';

const settingsBytesMax = 64 * 1024;

/** Milliseconds between two readings. */
const intervalMsShape = z.int().min(20).max(60_000);
/** A longer interval is taken as this: work that stands still for a minute ends a trial, and for half of one is not healthy. */
const intervalMsMost = 20_000;
const siteNameShape = z.string().max(60);

/**
 * The appliance's settings, as the site wrote them. Every file that was ever in the field works: a missing field has a
 * standard, an unknown one is kept and ignored, a wrong one is named in `problems` and its standard holds.
 */
export class ApplianceConfig {
  readonly intervalMs: number;
  /** What people call the place, for the log and for `identify`. */
  readonly site_name: string;
  /** Fields that this version does not know, as they were found. */
  readonly kept: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];

  constructor(found: Readonly<Record<string, unknown>>, unreadable: readonly string[] = []) {
    const { intervalMs, site_name, ...kept } = found;
    const problems = [...unreadable];
    this.intervalMs = Math.min(take('intervalMs', intervalMs, intervalMsShape, 1_000, problems), intervalMsMost);
    this.site_name = take('site_name', site_name, siteNameShape, '', problems);
    this.kept = kept;
    this.problems = problems;
  }
}

function take<Value>(
  name: string,
  found: unknown,
  shape: z.ZodType<Value>,
  standard: Value,
  problems: string[],
): Value {
  if (found === undefined) return standard;
  const parsed = shape.safeParse(found);
  if (parsed.success) return parsed.data;
  problems.push(`${name}: ${parsed.error.issues[0]?.message ?? 'wrong'}; ${JSON.stringify(standard)} holds`);
  return standard;
}

/** Reads agent.json; what is wrong with it degrades to the standards and is said, never stops the appliance. */
export async function readSettings(files: AgentFiles, path: string): Promise<ApplianceConfig> {
  try {
    const text = await files.readText(path, settingsBytesMax);
    return new ApplianceConfig(text === null ? {} : z.record(z.string(), z.unknown()).parse(JSON.parse(text)));
  } catch (error) {
    const named = error instanceof SyntaxError || error instanceof z.ZodError || systemCode(error) !== null;
    if (!named || !(error instanceof Error)) throw error;
    return new ApplianceConfig({}, [`agent.json can not be read, so all standards hold: ${error.message}`]);
  }
}
