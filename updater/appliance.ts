import type { KeyObject } from 'node:crypto';
import type { Layout } from '../protocol/layout.ts';
import type { Counter } from './counter.ts';
import type { Clock } from './effects/clock.ts';
import type { Files } from './effects/files.ts';
import type { Http } from './effects/http.ts';
import type { RunProgram } from './effects/programs.ts';
import type { EventQueue } from './events.ts';
import type { Identity } from './identity.ts';
import type { ProcessControl } from './processes/process-control.ts';
import type { ResolvedRelease } from './release/resolve-release.ts';
import type { Settings } from './settings.ts';
import type { Trial } from './trial.ts';

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
  /** The manifest of the release that it runs from; null: it runs from no slot. */
  readonly manifest: string | null;
  /** When it was built, in seconds since 1970: trusted time does not begin before. */
  readonly builtAtS: number;
  readonly run: RunProgram;
  log(line: string): void;
}

/** What one run remembers between its steps and may forget when it dies: nothing in it decides what is launched. */
export interface RunMemory {
  /** Ask the server although it is not due yet. */
  forced: boolean;
  /** What `resolve` opened, so that `fetch` need not do it again. */
  release: ResolvedRelease | null;
  /** What this very run wrote and read back: it need not be read once more. */
  written: { readonly tx: number; readonly manifest: string } | null;
  trial: Trial | null;
  trialLookedMs: number;
  /** A report of the judge that the server keeps waiting. */
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
    trialLookedMs: 0,
    reporting: null,
    serverReached: null,
    seen: {},
    stoppedMs: null,
    servingMs: null,
    verdictMs: null,
  };
}
