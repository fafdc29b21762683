import type { CheckInAnswer } from './check-in.ts';

/** How a sender reads what a verified answer says about the server's memory. Nothing in it loses evidence. */

/** An event of one request, as an acknowledgement names it. */
export interface SentEvent {
  readonly id: string;
  readonly n: number;
}

export type ServerMemory = Pick<CheckInAnswer, 'ackUpto' | 'stored' | 'offerFrom' | 'epoch'>;

/**
 * Ids of the events that this request carried and the server has: no other event is forgotten, whatever numbers the
 * answer names.
 */
export function storedOf(sent: readonly SentEvent[], { stored, ackUpto }: ServerMemory): string[] {
  const names = stored === undefined ? null : new Set(stored);
  return sent.filter(({ id, n }) => (names === null ? n <= ackUpto : names.has(id))).map(({ id }) => id);
}

/**
 * The number from which the sender offers again the acknowledged events that it still keeps; null: the server misses
 * none.
 * @param epochBefore of the earlier answers; null: this is the first
 */
export function offeredFrom(memory: ServerMemory, epochBefore: string | null): number | null {
  if (epochBefore !== null && epochBefore !== memory.epoch) return 1;
  if (memory.offerFrom !== undefined) return memory.offerFrom;
  // A server without `stored` counts without gaps: it has lost what it acknowledged before and no longer counts.
  return memory.stored === undefined ? memory.ackUpto + 1 : null;
}

/** What a person reads on both sides when a server asks for events that it had acknowledged. */
export function offeredAgainText(count: number): string {
  return `the server was restored (or begun anew): ${count} events that it had acknowledged are offered again`;
}

/** For an acknowledgement above every number that the sender ever gave; reported once per epoch. */
export function beyondText(ackUpto: number): string {
  return `the server knows events up to ${ackUpto} that this outbox never had: it lost them, or another device uses this key`;
}
