/** Bounds for connections: how many, and how long each part of a request may take. */
export interface ConnectionLimits {
  /** In all. */
  readonly all: number;
  /** Of one peer (see peer.ts); behind a trusted proxy, of one client of it. */
  readonly perPeer: number;
  /** Of one key of an appliance, that count as proven: for a check-in, and a download beside it. */
  readonly perKey: number;
  /** The head of a request, and the TLS handshake before it. */
  readonly headersMs: number;
  /** The body, except an operator's upload. */
  readonly bodyMs: number;
  /** Silence in the middle of a body or of an answer that is not read. */
  readonly silenceMs: number;
  /** Between two requests. */
  readonly keepAliveMs: number;
}

/**
 * All: 1,000 appliances whose two programs check in each minute hold about 200. Per peer: a site of 500 appliances
 * behind one address. Times: 16 KiB over a radio link of 1 kB/s; a proxy before us keeps its connections for a while.
 */
export const usualLimits: ConnectionLimits = {
  all: 2_000,
  perPeer: 256,
  perKey: 2,
  headersMs: 10_000,
  bodyMs: 30_000,
  silenceMs: 60_000,
  keepAliveMs: 20_000,
};

/** The longest upload of an operator. */
export const uploadMs = 6 * 3_600_000;

/** What the server itself keeps open: the database, the log, a release that is being published. */
const spareDescriptors = 128;
/** A connection that reads a release has its file open, too. */
const descriptorsEach = 2;
const fewestConnections = 16;

/** The limit of open files of this process (proc_pid_limits(5)); null if unknown. @param text /proc/self/limits */
export function descriptorsIn(text: string): number | null {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  return soft === undefined || soft === 'unlimited' ? null : Number(soft);
}

/** Never more connections than descriptors: otherwise accept fails for the next client. */
export function withinDescriptors(limits: ConnectionLimits, descriptors: number | null): ConnectionLimits {
  if (descriptors === null) return limits;
  const room = Math.max(fewestConnections, Math.floor((descriptors - spareDescriptors) / descriptorsEach));
  const all = Math.min(limits.all, room);
  return { ...limits, all, perPeer: Math.min(limits.perPeer, all) };
}
