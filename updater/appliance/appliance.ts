import type { KeyObject } from 'node:crypto';
import type { Layout } from '../../protocol/layout.ts';
import type { Clock } from '../effects/clock.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import type { RunProgram } from '../effects/programs.ts';
import type { Identity } from '../identity/identity.ts';
import type { Settings } from '../identity/settings.ts';
import type { ProcessControl } from '../processes/process-control.ts';
import type { ResolvedRelease } from '../release/resolve-release.ts';
import type { Counter } from '../server/counter.ts';
import type { EventQueue } from '../server/events.ts';
import type { Trial, TrialWaits } from '../verdict/trial.ts';

/** Everything that one updater run works with; built in main.ts, passed to every step. */
export interface Appliance {
  readonly files: Files;
  readonly clock: Clock;
  readonly http: Http;
  readonly processes: ProcessControl;
  readonly layout: Layout;
  readonly settings: Settings;
  readonly identity: Identity;
  readonly key: KeyObject;
  readonly counter: Counter;
  readonly events: EventQueue;
  /** The version of this updater, from its own release. */
  readonly version: string;
  /** The manifest of the release that this updater runs from; null: it does not run from a slot. */
  readonly manifest: string | null;
  /** When it was built, in seconds since 1970: trusted time never starts earlier. */
  readonly builtAtS: number;
  readonly run: RunProgram;
  /** A new id that no other transaction has, on this disk or on a copy of it. */
  newTransactionId(): string;
  /** The identity can no longer be read: there is no server, and `identity` and `key` are placeholders. */
  readonly isIdentityLost?: boolean;
  /** Releases cannot be verified, and what helps; absent or null: they can. Shown in `why` and among the notices. */
  readonly trustNotice?: string | null;
  /** What needs a person's attention: shown in status, page and `why`. */
  readonly notices?: readonly string[];
  log(line: string): void;
}

/** What one run remembers between its steps and may lose when it dies: nothing in it decides what is launched. */
export interface RunMemory {
  /** Ask the server although it is not due yet. */
  forced: boolean;
  /** What `resolve` opened, so that `fetch` need not open it again. */
  release: ResolvedRelease | null;
  /** What this run itself wrote and read back: it need not be read again. */
  written: { readonly tx: number; readonly manifest: string } | null;
  trial: Trial | null;
  trialWaits: TrialWaits | null;
  trialLookedMs: number;
  /** Requests that this run took: none is done twice, even if it cannot be removed, so no run repeats them for ever. */
  readonly requestsTaken: Set<string>;
  /** A check-in of the judge that still waits for the server. */
  reporting: { readonly done: Promise<unknown>; readonly giveUp: () => void } | null;
  serverReached: boolean | null;
  /** Check-ins of the start on trial that the server vouched for, by the start's digest. */
  seen: Readonly<Record<string, { readonly version: string; readonly checkIns: number }>>;
  /** Monotonic times of this transaction, for the report. */
  stoppedMs: number | null;
  servingMs: number | null;
  verdictMs: number | null;
}

export function freshMemory(forced: boolean): RunMemory {
  return {
    forced,
    release: null,
    written: null,
    trial: null,
    trialWaits: null,
    trialLookedMs: 0,
    requestsTaken: new Set(),
    reporting: null,
    serverReached: null,
    seen: {},
    stoppedMs: null,
    servingMs: null,
    verdictMs: null,
  };
}
