import { z } from 'zod';
import { type CheckInRequest, checkInRequestShape } from '../../protocol/check-in.ts';
import { type Event, eventShape, eventsPerCheckInMax } from '../../protocol/event.ts';
import { Refusal } from '../refusal.ts';

/** What a check-in can not do without: who reads it at all, and the counter. */
const coreShape = z.looseObject({ proto: z.int().min(1), seq: z.int().min(1) });
const numberedShape = z.looseObject({ n: z.int().min(1) });
/** Bytes of an event that could not be read which are kept for whoever looks into it. */
const unreadableBytesMax = 4_000;

export type ReceivedEvent =
  | { readonly kind: 'readable'; readonly event: Event; readonly raw: string }
  /** Kept and acknowledged as it is: not to take it would hold up everything behind it (S35). */
  | { readonly kind: 'unreadable'; readonly n: number; readonly raw: string; readonly why: string };

export interface ReceivedCheckIn {
  readonly request: CheckInRequest;
  readonly events: readonly ReceivedEvent[];
  /** What of the request could not be read; each is logged. */
  readonly faults: readonly string[];
}

/**
 * Reads a check-in part by part, so that one bad event or one odd side datum costs only itself.
 * @throws Refusal `check-in-malformed` when even the counter can not be read
 */
export function readCheckIn(body: Buffer): ReceivedCheckIn {
  const whole = parseJson(body);
  const core = coreShape.safeParse(whole);
  if (!core.success) throw malformed(core.error);
  const faults: string[] = [];
  const part = <Value>(name: string, shape: z.ZodType<Value>, fallback: Value): Value => {
    const parsed = shape.safeParse(core.data[name]);
    if (parsed.success) return parsed.data;
    faults.push(`${name}: ${parsed.error.issues[0]?.message ?? 'unreadable'}`);
    return fallback;
  };
  const { shape } = checkInRequestShape;
  const start = part('start', shape.start, undefined);
  const request: CheckInRequest = {
    proto: core.data.proto,
    seq: core.data.seq,
    features: part('features', shape.features, []),
    boot: part('boot', shape.boot, 'unknown'),
    clock: part('clock', shape.clock, { wallS: 0, monoMs: 0 }),
    have: part('have', shape.have, {}),
    etag: part('etag', shape.etag, null),
    health: part('health', shape.health, { status: 'unknown' }),
    ...(start === undefined ? {} : { start }),
    quarantine: part('quarantine', shape.quarantine, []) ?? [],
    events: [],
  };
  const list = part('events', z.array(z.unknown()), []).slice(0, eventsPerCheckInMax);
  return { request, events: list.flatMap((raw) => readEvent(raw, faults)), faults };
}

function malformed(cause: unknown): Refusal {
  return new Refusal('check-in-malformed', 'the check-in is not one that this server understands', undefined, {
    cause,
  });
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw malformed(cause);
  }
}

function readEvent(value: unknown, faults: string[]): ReceivedEvent[] {
  const raw = JSON.stringify(value) ?? 'null';
  const parsed = eventShape.safeParse(value);
  if (parsed.success) return [{ kind: 'readable', event: parsed.data, raw }];
  const why = parsed.error.issues
    .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    .join('; ')
    .slice(0, 300);
  const numbered = numberedShape.safeParse(value);
  faults.push(`event ${numbered.success ? numbered.data.n : 'without a number'}: ${why}`);
  if (!numbered.success) return [];
  return [{ kind: 'unreadable', n: numbered.data.n, raw: raw.slice(0, unreadableBytesMax), why }];
}
