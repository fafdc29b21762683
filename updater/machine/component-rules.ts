import { type Component, type SlotName, writableSlots } from '../../protocol/component.ts';
import type { Installed, Quarantined, StateBody } from '../../protocol/state-record.ts';
import { machineTexts } from '../words/texts.ts';
import { type EventOf, type MachineEvent, UnexpectedEventError } from './event.ts';
import { keepQuarantined, withoutQuarantined } from './quarantine.ts';
import { change, restOf, transactionOf } from './transaction.ts';

/**
 * What the record keeps about a component, and what distinguishes its updates: the pure half of its driver
 * (transaction/drivers/). Callers ask for one of these answers, not for the component's name.
 */
export interface ComponentRules {
  /** What is committed; null: the record does not say. */
  installed(state: StateBody): Installed | null;
  /** The slot is chosen, and its former content is given up. */
  beginWriting(state: StateBody, fetched: EventOf<'fetched'>): StateBody;
  commit(state: StateBody): StateBody;
  /** How an entry in quarantine names it. */
  readonly quarantinedAs: Pick<Quarantined, 'component'>;
  /** Its trial is the agent's: the agent is stopped, its state is copied, and its health is compared with before. */
  readonly stopsAgent: boolean;
  /** Its predecessor tries it as a child, and on trial it writes the record itself. */
  readonly isProbed: boolean;
  /** While it is damaged, its factory version runs in its place, and the same release repairs it. */
  readonly factoryStandsIn: boolean;
  /** Is it installed automatically from a stick? */
  readonly comesOnSticks: boolean;
  /** Is the committed release installed again? @param isDamaged it does not look whole */
  isMended(state: StateBody, isDamaged: boolean): boolean;
  /** Why none is installed now; null: it may be. */
  whyNotNow(state: StateBody): string | null;
  /** The events of a good update of it, from the written slot to the end. */
  readonly afterWritten: readonly MachineEvent[];
}

const passed: readonly MachineEvent[] = [{ kind: 'started' }, { kind: 'passed', downMs: 0 }, { kind: 'committed' }];

const app: ComponentRules = {
  installed: (state) => state.app.committed,
  beginWriting: (state, { fetchedMs }) => writeInto(state, 'app', fetchedMs),
  commit: commitApp,
  quarantinedAs: {},
  stopsAgent: true,
  isProbed: false,
  factoryStandsIn: false,
  comesOnSticks: true,
  // In safe mode, the release that is damaged here is as good as any. If its data is the problem, the same release
  // repairs nothing.
  isMended: ({ row, safe }) => row === 'safe' && (safe === null || safe.reason === 'slot-damaged'),
  whyNotNow: () => null,
  afterWritten: [
    { kind: 'clear', baseline: null, baselineServer: 'unknown' },
    { kind: 'agent-gone' },
    { kind: 'snapshot-done' },
    ...passed,
  ],
};

const updater: ComponentRules = {
  installed: (state) => state.updater.committed,
  beginWriting: (state, { fetchedMs }) => writeInto(state, 'updater', fetchedMs),
  // A new updater changes nothing about the agent, its data or its rollback window.
  commit: (state) => ({ ...commitOf(state, 'updater', state.updater.committed), row: restOf(state) }),
  quarantinedAs: { component: 'updater' },
  stopsAgent: false,
  isProbed: true,
  factoryStandsIn: true,
  comesOnSticks: false,
  isMended: (_state, isDamaged) => isDamaged,
  whyNotNow: whyNoNewUpdater,
  afterWritten: [{ kind: 'probed', baselineServer: 'unknown' }, ...passed],
};

/**
 * The devices, not this record, say which slot of the operating system runs; and nothing here can switch to another.
 */
const os: ComponentRules = {
  installed: () => null,
  beginWriting: (state, { fetchedMs, slot }) => {
    if (slot === null) throw new UnexpectedEventError('an os release was fetched for no slot');
    return { ...change(state, { slot, fetchedMs }), row: 'writing' };
  },
  commit: () => {
    throw new UnexpectedEventError('no slot to commit');
  },
  quarantinedAs: { component: 'os' },
  stopsAgent: false,
  isProbed: false,
  factoryStandsIn: false,
  comesOnSticks: false,
  isMended: () => false,
  whyNotNow: () => null,
  afterWritten: [{ kind: 'kept' }],
};

const rules: Readonly<Record<Component, ComponentRules>> = { app, updater, os };

export function rulesOf(component: Component): ComponentRules {
  return rules[component];
}

/** Is the agent itself on trial now? */
export function isAgentOnTrial({ trial }: Pick<StateBody, 'trial'>): boolean {
  return trial !== null && rulesOf(trial.component).stopsAgent;
}

/**
 * Slots that must survive a failed write, besides the committed one: the updater has factory, and gives up its previous
 * one.
 */
const keepsPrevious = { app: true, updater: false } as const;

/** The slot to write: neither the committed one nor a kept previous one. */
export function incomingSlot(state: StateBody, component: 'app' | 'updater'): SlotName {
  const { committed, previous } = state[component];
  const kept = keepsPrevious[component] ? [committed.slot, previous?.slot] : [committed.slot];
  const free = writableSlots[component].find((slot) => !kept.includes(slot));
  if (free === undefined) throw new UnexpectedEventError(`no slot of ${component} is free`);
  return free;
}

function writeInto(state: StateBody, component: 'app' | 'updater', fetchedMs: number): StateBody {
  const slot = incomingSlot(state, component);
  const kept = state[component];
  const previous = kept.previous?.slot === slot ? null : kept.previous;
  return { ...change(state, { slot, fetchedMs }), [component]: { ...kept, previous }, row: 'writing' };
}

/** At the commit, the floor becomes the lower of the committed and the kept previous version; it never falls. */
function raisedFloor(floor: number, committed: Installed, previous: Installed | null): number {
  return Math.max(floor, Math.min(committed.securityVersion, previous?.securityVersion ?? committed.securityVersion));
}

/** What a commit of any component changes. */
function commitOf(state: StateBody, component: 'app' | 'updater', kept: Installed | null): StateBody {
  const { slot, version, manifest, securityVersion } = transactionOf(state);
  if (slot === null) throw new UnexpectedEventError('no slot to commit');
  const committed: Installed = { slot, version, manifest, securityVersion };
  const previous = kept?.slot === slot ? null : kept;
  return {
    ...state,
    transaction: null,
    trial: null,
    committed: { ...state.committed, [component]: slot },
    [component]: { committed, previous },
    floor: { ...state.floor, [component]: raisedFloor(state.floor[component], committed, previous) },
    quarantine: withoutQuarantined(state.quarantine, manifest),
  };
}

function commitApp(state: StateBody): StateBody {
  const { kind, manifest, cause } = transactionOf(state);
  const { safe } = state;
  const before = state.app.committed;
  // A damaged version cannot be gone back to; the one before it may be.
  const after = commitOf(state, 'app', safe?.reason === 'slot-damaged' ? state.app.previous : before);
  const left: Quarantined = {
    manifest: before.manifest,
    version: before.version,
    ...(cause === undefined ? { reason: 'by hand', verdict: 'by-hand' } : { reason: 'trial', verdict: cause }),
  };
  return {
    ...after,
    row: 'idle',
    windowUsedMs: 0,
    safe: null,
    // A version committed again was wanted again by a person: the updater may leave it once more.
    ...(kind !== 'return' && state.rescued === manifest ? { rescued: undefined } : {}),
    // What was left, by hand or because of a crash loop, does not come back automatically (I12); leaving safe mode
    // leaves no version.
    quarantine: kind === 'return' && safe === null ? keepQuarantined(after.quarantine, left) : after.quarantine,
  };
}

/**
 * Why no updater is replaced now; null: it may be. As long as the agent's previous version can come back, the updater
 * that brings it back must be the one that knows how it was left.
 */
export function whyNoNewUpdater({ row, app: { previous, committed } }: StateBody): string | null {
  if (row === 'safe') return machineTexts.notInSafeMode;
  if (previous === null) return null;
  return machineTexts.notInWindow(committed.version, previous.version);
}
