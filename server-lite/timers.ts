import type { Core } from './core.ts';
import { hearingTickMs } from './fleet/hearing.ts';
import { expireOrders } from './fleet/send-order.ts';
import { noticesOf } from './notices.ts';
import { prunerOf } from './prune.ts';
import { renewMetadataWhenDue } from './release/publish.ts';
import { logTexts } from './texts.ts';

/** The server's periodic work. */

/** How often last-seen and health are written to the disk; they are read from memory. */
const flushMs = 5_000;
/** An expired order is ended at most this much later, even if nobody looks. */
const expireMs = 10_000;
/** How often the server looks for metadata that is old, or was signed by a clock that has changed since. */
const renewMetadataMs = 5_000;
/** How often the log learns of a disk that fills up. */
const lookAtDiskMs = 5_000;
/** How often surplus events of an appliance are removed, in steps … */
const pruneMs = 1_000;
/** … and for how long at a time. */
const pruneForMs = 50;
/** How often the log repeats what a person should know. */
const remindMs = 3_600_000;

/** @returns the timers, for the caller to end */
export function startTimers(core: Core): NodeJS.Timeout[] {
  const pruner = prunerOf(core);
  const prune = (): void => {
    const beganMs = core.monoMs();
    while (pruner.step() && core.monoMs() - beganMs < pruneForMs);
  };
  return [
    setInterval(() => core.hearing.tick(), hearingTickMs),
    setInterval(inTurn(core, 'prune', prune), pruneMs),
    setInterval(
      inTurn(core, 'flush', () => core.presence.flush()),
      flushMs,
    ),
    setInterval(
      inTurn(core, logTexts.expireOrders, () => expireOrders(core)),
      expireMs,
    ),
    setInterval(
      inTurn(core, logTexts.renewMetadata, () => renewMetadataWhenDue(core)),
      renewMetadataMs,
    ),
    setInterval(() => void core.disk.trouble(), lookAtDiskMs),
    setInterval(() => logged(core, 'remind', () => remind(core)), remindMs),
  ];
}

/** Skips a turn while another process writes: the next interval is soon enough. */
export function inTurn(core: Core, what: string, work: () => void): () => void {
  return () => {
    if (core.turn.isFree()) logged(core, what, work);
  };
}

/** Logs what a person should know. */
export function remind(core: Core): void {
  for (const notice of noticesOf(core)) core.log.warn(notice);
}

/** A full disk must not stop check-ins; the next interval tries again. */
export function logged(core: Core, what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    core.log.error(error, logTexts.workFailed(what));
  }
}
