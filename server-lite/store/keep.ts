import { eventTexts } from '../texts.ts';
import type { Role } from './appliances.ts';

/** What an event is worth; the first is kept longest, the last is removed first. */
export type Keep = 'fact' | 'course' | 'record' | 'note';

const updaterFacts: ReadonlySet<string> = new Set([
  'release-committed',
  'release-rolled-back',
  'release-refused',
  'safe-mode',
]);
const courseKinds: ReadonlySet<string> = new Set(['agent-crashed', 'agent-recovered', 'release-installing', 'order']);

/** What the server notes because an appliance sent something, which the appliance can do again and again. */
const remarkKinds: ReadonlySet<string> = new Set(['fault', 'outcome-not-offered']);
const remarkOfProgram = /^(agent|updater)-/;

/** @param kind as it is stored */
export function keepOf(role: Role | 'server', kind: string): Keep {
  if (role === 'server') return remarkKinds.has(kind) || remarkOfProgram.test(kind) ? 'note' : 'fact';
  if (role === 'updater' && updaterFacts.has(kind)) return 'fact';
  if (courseKinds.has(kind)) return 'course';
  return kind === 'record' ? 'record' : 'note';
}

export interface KeepLimit {
  readonly events: number;
  /** Of the stored text of the sender. */
  readonly bytes: number;
  /** What they are called in the record about removed ones. */
  readonly name: string;
}

const mib = 1024 * 1024;

/**
 * For each writer at each appliance, so that nobody's events push out another's. There is room for more records than
 * the 100,000 events that an agent offers again to a restored server.
 */
export const keepLimits: Readonly<Record<Keep, KeepLimit>> = {
  fact: { events: 2_000, bytes: 8 * mib, name: eventTexts.facts },
  course: { events: 5_000, bytes: 16 * mib, name: eventTexts.courses },
  record: { events: 200_000, bytes: 64 * mib, name: eventTexts.records },
  note: { events: 20_000, bytes: 16 * mib, name: eventTexts.notes },
};
