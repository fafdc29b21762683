import { z } from 'zod';

/**
 * Wrong PINs: page/failures.json, one sector written in place, so that a power cut cannot tear it and a full disk
 * cannot stop it.
 */
export const failuresBytes = 512;

/**
 * Peers with a count of their own, by class. Further peers share one count, so that an attacker cannot gain one by
 * using many peers.
 */
const peersMax = { uid: 5, ip: 3 } as const;
/** A count that has not grown for this long, waits included, gives way to another peer's. */
const staleMs = 3_600_000;
const countMax = 9_999;

/**
 * The peer whose tries are counted together: `uid:0` on this machine, `ip:192.0.2.1` and `ip:2001:db8:0:1` (a /64) from
 * elsewhere.
 */
export type PeerName = `${keyof typeof peersMax}:${string}`;

/** Wrong PINs in a row, and when the last one was, in milliseconds of the boot's monotonic clock. */
export interface Tally {
  readonly count: number;
  readonly monoMs: number;
}

export interface Failures {
  /** The boot that all times belong to. */
  readonly boot: string;
  /** Where the count of a peer that was not seen yet begins. */
  readonly start: Tally;
  /** Shared by all peers of a class that have no count of their own. */
  readonly others: Readonly<Record<keyof typeof peersMax, Tally>>;
  readonly peers: ReadonlyMap<PeerName, Tally>;
}

/** @param count where a peer begins, and what peers without a count of their own share */
export function failuresOf(count = 0, monoMs = 0, boot = ''): Failures {
  const tally = { count, monoMs };
  return { boot, start: tally, others: { uid: tally, ip: tally }, peers: new Map() };
}

export const noFailures: Failures = failuresOf();
const noTally: Tally = { count: 0, monoMs: 0 };

const tallyShape = z.tuple([z.int().min(0), z.int().min(0)]).transform(([count, monoMs]) => ({ count, monoMs }));
const nameShape = z.custom<PeerName>(
  (name) => typeof name === 'string' && /^(uid:\d{1,10}|ip:[0-9a-f.:]{2,22})$/.test(name),
);

/** One count for everybody, as every earlier version wrote it. */
const first = z.object({
  v: z.literal(1),
  count: z.int().min(0),
  last: z.object({ boot: z.string(), monoMs: z.number() }),
});
const second = z.object({
  v: z.literal(2),
  boot: z.string(),
  start: tallyShape,
  others: z.object({ uid: tallyShape, ip: tallyShape }),
  peers: z.array(z.tuple([nameShape, z.int().min(0), z.int().min(0)])),
});
const shape = z.discriminatedUnion('v', [first, second]);

export function encodeFailures({ boot, start, others, peers }: Failures): Buffer {
  const numbers = ({ count, monoMs }: Tally) => [Math.min(count, countMax), Math.floor(monoMs)];
  const isNone = peers.size === 0 && [start, others.uid, others.ip].every(({ count }) => count === 0);
  // While there are no failures, written so that every earlier version can read it.
  const record = isNone
    ? { v: 1, count: 0, last: { boot, monoMs: 0 } }
    : {
        v: 2,
        boot,
        start: numbers(start),
        others: { uid: numbers(others.uid), ip: numbers(others.ip) },
        peers: [...peers].map(([name, tally]) => [name, ...numbers(tally)]),
      };
  const text = JSON.stringify(record);
  if (text.length > failuresBytes)
    throw new RangeError(`${text.length} bytes of failures, ${failuresBytes} are a sector`);
  return Buffer.from(text.padEnd(failuresBytes));
}

/** @throws SyntaxError and ZodError when it is something else */
export function decodeFailures(bytes: Buffer): Failures {
  const record = shape.parse(JSON.parse(bytes.toString('utf8')));
  if (record.v === 1) return failuresOf(record.count, Math.max(0, Math.floor(record.last.monoMs)), record.last.boot);
  const peers = new Map(record.peers.map(([name, count, monoMs]) => [name, { count, monoMs }]));
  return { boot: record.boot, start: record.start, others: record.others, peers };
}

/** The same in this boot. Monotonic times of two boots cannot be compared, so a wait begins with the boot. */
export function inBoot(failures: Failures, boot: string): Failures {
  if (failures.boot === boot) return failures;
  const begun = ({ count }: Tally): Tally => ({ count, monoMs: 0 });
  const { start, others, peers } = failures;
  return {
    boot,
    start: begun(start),
    others: { uid: begun(others.uid), ip: begun(others.ip) },
    peers: new Map([...peers].map(([name, tally]) => [name, begun(tally)])),
  };
}

function classOf(peer: PeerName): keyof typeof peersMax {
  return peer.startsWith('uid:') ? 'uid' : 'ip';
}

/** The name whose place a new peer takes; null: a place is free; undefined: there is none. */
function placeFor({ peers }: Failures, peer: PeerName, nowMs: number): PeerName | null | undefined {
  const own = classOf(peer);
  const names = [...peers.keys()].filter((name) => classOf(name) === own);
  if (names.length < peersMax[own]) return null;
  return names.find((name) => nowMs - (peers.get(name)?.monoMs ?? nowMs) >= staleMs);
}

/** What counts against this peer. @param failures of this boot */
export function tallyOf(failures: Failures, peer: PeerName, nowMs: number): Tally {
  const known = failures.peers.get(peer);
  if (known !== undefined) return known;
  return placeFor(failures, peer, nowMs) === undefined ? failures.others[classOf(peer)] : failures.start;
}

/** One more wrong PIN of this peer. @param failures of this boot */
export function withFailure(failures: Failures, peer: PeerName, nowMs: number): Failures {
  const tally = { count: tallyOf(failures, peer, nowMs).count + 1, monoMs: Math.floor(nowMs) };
  const place = failures.peers.has(peer) ? null : placeFor(failures, peer, nowMs);
  if (place === undefined) return { ...failures, others: { ...failures.others, [classOf(peer)]: tally } };
  const peers = new Map(failures.peers);
  if (place !== null) peers.delete(place);
  return { ...failures, peers: peers.set(peer, tally) };
}

/** The right PIN from this peer: its count is cleared, and so is the one that new peers begin with. */
export function withoutFailures(failures: Failures, peer: PeerName, nowMs: number): Failures {
  const isOther = !failures.peers.has(peer) && placeFor(failures, peer, nowMs) === undefined;
  const peers = new Map(failures.peers);
  peers.delete(peer);
  const others = isOther ? { ...failures.others, [classOf(peer)]: noTally } : failures.others;
  return { ...failures, start: noTally, others, peers };
}
