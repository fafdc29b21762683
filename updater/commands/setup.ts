import { whyNoServerAddress } from '../../protocol/address.ts';
import { type ClaimError, decodeClaim } from '../../protocol/claim.ts';
import { inOneLine } from '../../protocol/printable.ts';
import { systemProblem } from '../../protocol/system-problem.ts';
import { takeLock } from '../appliance/lock.ts';
import { type CommandLine, fail, say } from '../effects/command-line.ts';
import { runProgram } from '../effects/programs.ts';
import { type StandardInput, standardInput } from '../effects/standard-input.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { loadSettings, settingsInForce } from '../identity/settings.ts';
import { askForRun, startUnits } from '../processes/systemd-control.ts';
import { makeDirectories } from '../set-up/partition.ts';
import { replacePin } from '../set-up/set-pin.ts';
import type { SetUpOrder } from '../set-up/set-up-order.ts';
import { setUpEntries, setUpPath } from '../set-up/set-up-path.ts';
import { type SetUpResult, setUp } from '../set-up/setup.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { readAgentHealth } from '../watch/agent-health.ts';
import { commandTexts } from '../words/texts.ts';
import { givenClaim, givenProxy } from './given-secret.ts';
import { noAppliance } from './no-appliance.ts';

export async function setup(line: CommandLine, input: StandardInput = standardInput): Promise<number> {
  const { options, files, layout } = line;
  if (options['new-pin'] === true) return newPin(line);
  const log = (text: string) => line.complain(inOneLine(text));
  try {
    const claim = decodeClaim(await givenClaim(line, input));
    const { features: _ofItsOwnAddress, ...elsewhere } = claim;
    const wanted = options.server === undefined ? claim : { ...elsewhere, url: options.server };
    const why = whyNoServerAddress(wanted.url);
    if (why !== null) return fail(line, 'server-invalid', `${wanted.url} ${why}`, commandTexts.serverMissing);
    const proxy = givenProxy(line);
    const { ca } = options;
    const entries = setUpEntries({ files, layout }, { server: wanted.url, proxy, ca, environment: line.proxies });
    const isNew = options['new-identity'] === true;
    if (isNew && files.stat(layout.identity) === null)
      return fail(line, 'no-copy', commandTexts.noCopy, commandTexts.noCopyNext);
    const result = await heldFrom(line, isNew, {
      files,
      ...setUpPath({ files, layout }, entries, log),
      layout,
      claim: wanted,
      factory: options.factory,
      version: line.version,
      newIdentity: isNew,
      log,
    });
    if (result === null) return fail(line, 'busy', commandTexts.atWorkNotChanged, commandTexts.tryAfterRun);
    if (loadSettings(files, layout).processControl.kind === 'systemd') {
      await startUnits(runProgram);
      await untilTold(line);
    }
    const pin = result.pin === null ? '' : commandTexts.pin(result.pin);
    return say(line, commandTexts.isAppliance(result.name, result.appliance, result.app, result.updater, pin), result);
  } catch (error) {
    if (error instanceof SetUpError || error instanceof ReleaseError)
      return fail(line, error.code, error.message, error.next);
    if (isClaimError(error)) return fail(line, error.code, error.message, commandTexts.setupAfterThat);
    const problem = systemProblem(error);
    if (problem !== null)
      return fail(line, problem.code, problem.message, commandTexts.setupContinuesAfter(problem.next));
    if (error instanceof Error && 'code' in error)
      return fail(line, String(error.code), error.message, commandTexts.setupContinues);
    throw error;
  }
}

/** Without server and claim: root may act on the page, also when its PIN is lost. */
function newPin(line: CommandLine): number {
  const { files, layout } = line;
  if (files.stat(layout.updater)?.kind !== 'directory') return noAppliance(line);
  const { settings } = settingsInForce(files, layout);
  makeDirectories({ files, layout, log: (text) => line.complain(inOneLine(text)) }, settings);
  const pin = replacePin(files, layout, settings.pageUser);
  return say(line, commandTexts.pinReplaced(pin), { pin });
}

/**
 * The agent needs a moment to start; without this wait, an earlier status would stand until the next run, a minute
 * later.
 */
const agentUpWithinMs = 15_000;
/** A run must not check in with one key and record another. @returns null: a run is at work */
async function heldFrom(line: CommandLine, isNew: boolean, order: SetUpOrder): Promise<SetUpResult | null> {
  if (!isNew) return setUp(order);
  const lock = takeLock(line.layout);
  if (lock === null) return null;
  try {
    return await setUp(order);
  } finally {
    lock.release();
  }
}

const lookEveryMs = 250;

async function untilTold({ clock, files, layout }: CommandLine): Promise<void> {
  const settings = loadSettings(files, layout);
  for (const endMs = clock.monoMs() + agentUpWithinMs; clock.monoMs() < endMs; await clock.delay(lookEveryMs)) {
    if ((await readAgentHealth({ files, layout, settings })).answer !== null) break;
  }
  await askForRun(runProgram);
}

function isClaimError(error: unknown): error is ClaimError {
  return error instanceof Error && 'code' in error && error.code === 'claim-code-invalid';
}
