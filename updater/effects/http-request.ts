import type { PathEntry } from '../../protocol/network-path.ts';

/** What one exchange is asked for, and its limits. */

/** How long each part of one exchange may take, in milliseconds. */
export const httpLimits = {
  /** Name lookup, connection and TLS, each: a site's network answers within seconds or not at all. */
  connectMs: 10_000,
  /** Without one byte from the other side, the first included. */
  stallMs: 20_000,
  redirectsMax: 3,
  /**
   * A body with fewer bytes than these in this time is given up: nothing slower than about 1 KiB/s counts as a
   * connection.
   */
  slowWindowMs: 60_000,
  slowBytesMin: 30 * 1024,
} as const;

/** One entry of the network path, and how fast it may be used. */
export interface RatedEntry extends PathEntry {
  /** The rate at which a body is read, in bytes per second; null: as it arrives. */
  readonly rateBytesPerS: number | null;
}

export type HttpLimits = Readonly<Record<keyof typeof httpLimits, number>>;

export interface HttpRequest {
  readonly method?: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** For the whole exchange, redirects and body included: limits a server that drips. */
  readonly totalMs: number;
  /** Ends the exchange early, as if its time were over. */
  readonly signal?: AbortSignal;
}

export interface HttpHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface HttpStream extends HttpHead {
  /** The body as it arrives; throws HttpError. */
  readonly body: AsyncIterable<Buffer>;
}
