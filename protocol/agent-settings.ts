import { z } from 'zod';

/** Lines below it are not written. */
export const logLevels = ['info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * agent.json, as the site writes it. The agent reads by this schema; `holdfast settings explain` and docs/settings.md are
 * made from it. Every field has a standard, so that each file that was ever in the field works.
 */
export const agentSettingsShape = z.object({
  intervalMs: z
    .int()
    .min(20)
    .max(60_000)
    .default(1_000)
    .describe('Milliseconds between two readings of the machine; more than 20,000 count as 20,000.'),
  site_name: z.string().max(60).default('').describe('What people call the place: for the log and the order identify.'),
  logLevel: z
    .enum(logLevels)
    .default('info')
    .describe('Lines of the log below it are not written; the order log-level sets it until the next start.'),
  maker: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Settings that the release's maker defined; the build of the release says which."),
});
