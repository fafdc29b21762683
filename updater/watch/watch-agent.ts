import { z } from 'zod';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { currentNonce } from '../appliance/current-start.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { type AgentFacts, ProcessControlError } from '../processes/process-control.ts';
import { isLame, type Sign, signSeen, standstillText, type Working, workingOf } from '../verdict/standstill.ts';
import { startName } from '../verdict/trial.ts';
import { watchTexts } from '../words/texts.ts';
import { type AgentLook, agentLook } from './crashes.ts';

/** Each run without a transaction looks at the committed agent, and starts a hanging one again. */

/** In run/, because each boot starts again. */
const signShape: z.ZodType<Sign> = z.object({
  boot: z.string(),
  start: z.string(),
  progress: z.number().nullable(),
  answers: z.boolean(),
  looks: z.int().min(0),
  sinceMs: z.number(),
});
const signBytesMax = 4_000;

function signPath({ layout }: Appliance): string {
  return `${layout.run}/agent-sign.json`;
}

function knownSign(appliance: Appliance): Sign | null {
  return readKept(appliance.files, signPath(appliance), signBytesMax, signShape);
}

/** What is known about the start that runs now. */
export function workingNow(appliance: Appliance): Working {
  const { files, layout, clock, settings } = appliance;
  const [sign, nonce] = [knownSign(appliance), currentNonce(files, layout)];
  const isOfNow = sign !== null && nonce !== null && sign.boot === clock.bootId() && sign.start === startName(nonce);
  return workingOf(isOfNow ? sign : null, clock.monoMs(), settings);
}

/** An agent answers within a second of its start; on a busy machine it takes longer. */
const firstAnswer = { looks: 16, everyMs: 200 } as const;

/** A start that was not looked at yet gets a moment, once: otherwise it would be called unknown until the next run. */
async function patientLook(
  appliance: Appliance,
  known: Sign | null,
): Promise<{ nonce: string | null; look: AgentLook }> {
  const { files, layout, clock } = appliance;
  for (let looks = 1; ; looks += 1) {
    // First the expected nonce, then the answer.
    const nonce = currentNonce(files, layout);
    const look = await agentLook(appliance);
    const isNew = nonce !== null && (known?.start !== startName(nonce) || known.boot !== clock.bootId());
    const isAwaited = look.facts?.state === 'active' && isNew && look.answer?.nonce !== nonce;
    if ((look.facts?.state !== 'starting' && !isAwaited) || looks >= firstAnswer.looks) return { nonce, look };
    await clock.delay(firstAnswer.everyMs);
  }
}

/** One look, whose answer is noted for the looks of later runs. */
export async function lookAtAgent(appliance: Appliance): Promise<AgentLook> {
  const { files, clock } = appliance;
  const known = knownSign(appliance);
  const { nonce, look } = await patientLook(appliance, known);
  if (nonce === null || look.facts?.state !== 'active') return look;
  const ours = look.answer?.nonce === nonce ? look.answer : null;
  const now = { boot: clock.bootId(), atMs: clock.monoMs() };
  replaceJson(files, signPath(appliance), signSeen(known, startName(nonce), ours, now), 0o600);
  return look;
}

/**
 * Ends a committed agent that has hung for long; the caller starts it again, or what comes in its place.
 * @returns whether it was ended; false also when it could not be
 */
export async function endHungAgent(
  appliance: Appliance,
  { app }: StateBody,
  facts: AgentFacts | null,
): Promise<boolean> {
  const { clock, events, log, processes } = appliance;
  const working = workingNow(appliance);
  if (!isLame(working) || !working.isHung || facts?.state !== 'active') return false;
  const text = watchTexts.endedAndStarted(app.committed.version, standstillText(working));
  log(text);
  try {
    await processes.stopAgent();
  } catch (error) {
    if (!(error instanceof ProcessControlError)) throw error;
    // The next run tries again; this one has more to do.
    log(watchTexts.doesNotEnd(error.message));
    return false;
  }
  events.add(`hung ${clock.bootId()} ${clock.monoMs()}`, { kind: 'note', text });
  return true;
}
