import type { z } from 'zod';
import type { CheckStatus } from '../../protocol/health.ts';
import type { Budget, Schedule } from '../duties/definition.ts';

/** What a maker defines, and what their code can reach of the agent. */

/** One row of a table, with its number. */
export interface Row {
  /** Rises with each row, and is never given twice; there may be gaps. */
  readonly n: number;
  readonly row: unknown;
}

/** What the work of a maker can reach of the agent; nothing else. */
export interface WorkContext {
  /** At most 100 lines a run; further ones are counted. */
  readonly log: Record<'info' | 'warn' | 'error', (...words: unknown[]) => void>;
  readonly clock: {
    /** Milliseconds since the boot: for durations. */
    monoMs(): number;
    /** Seconds since 1970 by the appliance's clock, which may be wrong: for people. */
    wallS(): number;
  };
  /** Values by key, of this work alone; they go back with a release that is rolled back. @throws beyond its bounds */
  readonly store: {
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown): Promise<void>;
    delete(key: string): Promise<void>;
  };
  /** Rows of this work alone, oldest first; beyond 100,000 rows or 20,000,000 characters the oldest go. */
  readonly table: {
    /** @returns its number */
    add(row: unknown): Promise<number>;
    /** Rows with greater numbers than `after` (0 without it); at most `limit`, and 1,000 or 200,000 characters. */
    rows(asked?: { readonly after?: number; readonly limit?: number }): Promise<Row[]>;
    /** Newest first. */
    newest(limit: number): Promise<Row[]>;
    removeUpTo(n: number): Promise<void>;
    count(): Promise<number>;
  };
  /** Evidence for the server: kept until it is acknowledged, and not undone by a rollback. At most 20 a run. */
  readonly records: {
    /** @param value its canonical JSON (RFC 8785) has at most 2,000 characters. @returns the record's name */
    add(value: unknown): Promise<string>;
  };
  /** What the site chose for a setting that the same module defines; its standard when it chose nothing that fits. */
  readonly settings: { get<Value>(setting: MadeSetting<Value>): Value };
  /** The text of the file that the site keeps for a secret of the same module, without white space around it; null: none. */
  readonly secrets: { get(secret: MadeSecret): Promise<string | null> };
  /** A directory with the files of the module's `assets`, to read from; null: it has none. */
  readonly assets: string | null;
  /** Aborts at the deadline, and when the agent stops. */
  readonly signal: AbortSignal;
}

/** A piece of work on a schedule. */
export interface DutyDefinition<Result> {
  /** Lower-case words with hyphens, at most 40 characters; of all that a module defines, each has its own. */
  readonly name: string;
  readonly schedule: Schedule;
  readonly budget?: Partial<Budget>;
  /** What `run` returns is checked by it; what does not fit is a failed run. */
  readonly result?: z.ZodType<Result>;
  /** Each result becomes a record. */
  readonly isRecorded?: boolean;
  /** Another duty whose store and table it sees; absent: it has its own. */
  readonly sees?: string;
  run(context: WorkContext): Promise<Result> | Result;
}

/** What a check found. */
export interface Finding {
  readonly status: CheckStatus;
  /** For people: what is so, in one sentence. */
  readonly sentence: string;
  readonly value?: number | undefined;
  /** Of the value, e.g. `°C`. */
  readonly unit?: string | undefined;
  /** What a person does about it. */
  readonly next?: string | undefined;
}

/** A look at something, again and again; it is `unknown` before its first run, when it fails, and when it is late. */
export interface CheckDefinition {
  readonly name: string;
  readonly everyMs: number;
  readonly timeoutMs?: number;
  /** The duty whose store and table it sees; absent: it has its own. */
  readonly sees?: string;
  run(context: WorkContext): Promise<Finding> | Finding;
}

/** What an operator can order: `holdfast orders send NAME run-order --arg order=…`. */
export interface OrderDefinition<Args, Result> {
  readonly name: string;
  /** Each argument arrives as text. */
  readonly args?: z.ZodType<Args>;
  readonly result?: z.ZodType<Result>;
  readonly timeoutMs?: number;
  /** The duty whose store and table it sees; absent: it has its own. */
  readonly sees?: string;
  run(context: WorkContext & { readonly args: Args }): Promise<Result> | Result;
}

/** A field of `maker` in agent.json. */
export interface SettingDefinition<Value> {
  readonly name: string;
  /** One that JSON Schema can say: no transformation. */
  readonly shape: z.ZodType<Value>;
  /** Holds when the site says nothing, or nothing that fits. */
  readonly standard: Value;
  /** For people: what it does. */
  readonly text: string;
}

/** A file in `agent/secrets`, which goes into no log and no support bundle. */
export interface SecretDefinition {
  /** The file's name, unless `maker` of agent.json has another one under it. */
  readonly name: string;
  /** For people: what it is for. */
  readonly text: string;
}

export interface MadeDuty extends DutyDefinition<unknown> {
  readonly kind: 'duty';
}
export interface MadeCheck extends CheckDefinition {
  readonly kind: 'check';
}
export interface MadeOrder extends Omit<OrderDefinition<never, unknown>, 'args'> {
  readonly kind: 'order';
  readonly args?: z.ZodType<unknown>;
}
export interface MadeSetting<Value> extends SettingDefinition<Value> {
  readonly kind: 'setting';
}
export interface MadeSecret extends SecretDefinition {
  readonly kind: 'secret';
}
export type Made = MadeDuty | MadeCheck | MadeOrder | MadeSetting<unknown> | MadeSecret;
export type MadeKind = Made['kind'];

const kinds: ReadonlySet<unknown> = new Set<MadeKind>(['duty', 'check', 'order', 'setting', 'secret']);

/** What a maker's module defines, among all that it exports. */
export function madeIn(exports: Readonly<Record<string, unknown>>): Made[] {
  return Object.values(exports).filter(isMade);
}

function isMade(value: unknown): value is Made {
  return typeof value === 'object' && value !== null && 'kind' in value && kinds.has(value.kind) && 'name' in value;
}
