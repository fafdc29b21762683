import { sha256 } from '../../protocol/digest.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { addServerEvent, type Core } from '../core.ts';
import type { KeyRow } from '../store/appliances.ts';
import { applyEvent } from './apply-event.ts';
import type { ReceivedEvent } from './read-check-in.ts';

/**
 * Stores the events of one check-in, acts on each new one, and moves the acknowledgement. Runs inside the check-in's
 * transaction; each event has a savepoint of its own, so that a bad one costs nothing but itself (S35).
 * @returns up to which number every event is stored
 */
export function storeEvents(core: Core, key: KeyRow, received: readonly ReceivedEvent[]): number {
  for (const one of received) {
    if (!addOne(core, key, one)) continue;
    if (one.kind === 'unreadable') {
      addServerEvent(core, key.appliance, 'fault', `event ${one.n} of the ${key.role} can not be read: ${one.why}`);
      continue;
    }
    try {
      core.db.transaction(() => applyEvent(core, key, one.event))();
    } catch (error) {
      core.log.error(error, 'an event was stored, but what it means could not be applied');
      addServerEvent(core, key.appliance, 'fault', `event ${one.event.n} of the ${key.role} could not be applied`);
    }
  }
  return received.length === 0
    ? core.events.ackUpto(key.appliance, key.role)
    : core.events.advance(key.appliance, key.role);
}

/** @returns true when it is new; an event that can not be stored is not acknowledged, and comes again */
function addOne(core: Core, key: KeyRow, one: ReceivedEvent): boolean {
  const row = { ...rowOf(one), appliance: key.appliance, role: key.role, received_at: core.nowMs() };
  try {
    return core.db.transaction(() => core.events.add(row))();
  } catch (error) {
    core.log.error(error, `event ${row.n} of the ${key.role} of ${key.appliance} could not be stored`);
    return false;
  }
}

function rowOf(one: ReceivedEvent): { id: string; n: number; kind: string; text: string; body: string } {
  if (one.kind === 'readable') {
    const { id, n, kind, text } = one.event;
    return { id, n, kind: wordOf(kind), text, body: one.raw };
  }
  // Its own id may be what is wrong with it; the digest of its bytes makes a repetition harmless all the same.
  return { id: sha256(`${one.n} ${one.raw}`), n: one.n, kind: 'unreadable', text: one.why, body: one.raw };
}
