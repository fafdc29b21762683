import type { LogLevel } from '../../protocol/agent-settings.ts';
import type { PathEntry } from '../../protocol/network-path.ts';
import type { SignatureHeaders } from '../../protocol/trust/http-signature.ts';

/** Time as decisions use it, and as people read it. */
export interface Clock {
  /** Milliseconds of this boot, monotonic. */
  monoMs(): number;
  /** Seconds since 1970 by the system's clock: for people only; no decision reads it. */
  wallS(): number;
}

export interface AgentFiles {
  /** The text of a file, or null when there is none. @throws AgentError `file-too-large` */
  readText(path: string, bytesMax: number): Promise<string | null>;
  /** A value that changes when a file is written again, even with the same content; null when no file can be seen. */
  mark(path: string): Promise<string | null>;
  /** Moves the modification time of an existing file. @throws system errors, ENOENT too */
  touch(path: string): Promise<void>;
  /** What is known about the file system below a path; null when the system does not say. */
  space(path: string): Promise<{ readonly freeBytes: number; readonly volatile: boolean } | null>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: SignatureHeaders;
  readonly body: Buffer;
}

/** One entry of the network path, and the total time that a round trip over it may take. */
export interface Over {
  readonly entry: PathEntry;
  readonly totalMs: number;
}

export interface Http {
  /** @throws HttpError */
  send(request: {
    readonly method: 'GET' | 'POST';
    readonly url: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Buffer;
    readonly over: Over;
    readonly signal: AbortSignal;
  }): Promise<HttpAnswer>;
}

/** One measurement; null when the machine reports none, or not in time. */
export type Sensor = () => Promise<number | null>;

export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Everything that the agent does to the world outside its databases and its socket. */
export interface Effects {
  readonly clock: Clock;
  readonly files: AgentFiles;
  readonly http: Http;
  readonly sensor: Sensor;
  readonly log: Log;
  /** The last lines of the log, oldest first. */
  readonly recentLog: () => readonly string[];
  /** From now on, this text is replaced wherever a line has it. */
  readonly hideInLog: (text: string) => void;
  readonly setLogLevel: (level: LogLevel) => void;
  /** Between 0 and 1, for jitter. */
  readonly random: () => number;
  readonly boot: string;
}
