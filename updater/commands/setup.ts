import { resolve } from 'node:path';
import { type ClaimError, decodeClaim } from '../../protocol/claim.ts';
import { readHealth } from '../agent-health.ts';
import { type CommandLine, fail, say, usage } from '../command-line.ts';
import { readFile } from '../effects/durable.ts';
import { makeHttp } from '../effects/http.ts';
import { runProgram } from '../effects/programs.ts';
import { askForRun, startUnits } from '../processes/systemd-control.ts';
import { ReleaseError } from '../release/release-error.ts';
import { SetUpError } from '../set-up-error.ts';
import { loadSettings } from '../settings.ts';
import { setUp } from '../setup.ts';

export async function setup(line: CommandLine): Promise<number> {
  const { options, files, layout } = line;
  const file = options['claim-file'];
  const text =
    options.claim ?? (file === undefined ? undefined : readFile(files, resolve(file), 10_000)?.toString('utf8'));
  if (text === undefined) return usage(line, 'setup needs --claim CODE or --claim-file FILE');
  try {
    const claim = decodeClaim(text);
    const wanted = { ...claim, url: options.server ?? claim.url };
    const result = await setUp({
      files,
      http: makeHttp(),
      layout,
      claim: wanted,
      factory: options.factory,
      version: line.version,
      log: line.complain,
    });
    if (loadSettings(files, layout).processControl.kind === 'systemd') {
      await startUnits(runProgram);
      await untilTold(line);
    }
    const pin = result.pin === null ? '' : `\nPIN of the field page (shown once): ${result.pin}`;
    return say(
      line,
      `${result.name} is appliance ${result.appliance}: app ${result.app}, updater ${result.updater}${pin}`,
      result,
    );
  } catch (error) {
    if (error instanceof SetUpError || error instanceof ReleaseError)
      return fail(line, error.code, error.message, error.next);
    if (isClaimError(error)) return fail(line, error.code, error.message, 'Then run setup again; nothing was changed.');
    if (error instanceof Error && 'code' in error)
      return fail(line, String(error.code), error.message, 'Run setup again: it carries on where it stopped.');
    throw error;
  }
}

/** The agent needs a moment; a status from before that would stand until the next run, a minute later. */
const agentUpWithinMs = 15_000;
const lookEveryMs = 250;

async function untilTold({ clock, layout }: CommandLine): Promise<void> {
  for (const endMs = clock.monoMs() + agentUpWithinMs; clock.monoMs() < endMs; await clock.delay(lookEveryMs)) {
    if ((await readHealth(layout.agentSocket)).answer !== null) break;
  }
  await askForRun(runProgram);
}

function isClaimError(error: unknown): error is ClaimError {
  return error instanceof Error && 'code' in error && error.code === 'claim-code-invalid';
}
