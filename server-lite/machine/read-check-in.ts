import { z } from 'zod';
import { type CheckInRequest, checkInRequestShape } from '../../protocol/check-in.ts';
import { type Event, eventAsTravelled, eventShape, eventsPerCheckInMax } from '../../protocol/event.ts';
import { uuidShape } from '../../protocol/ids.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { cut } from '../../protocol/text.ts';
import { Refusal } from '../refusal.ts';
import { clipBytes } from '../rules/words.ts';
import { isTooDeep } from '../store/stored-json.ts';
import { checkInTexts } from '../texts.ts';

/** What a check-in needs at least: the protocol, and the counter. */
const coreShape = z.looseObject({ proto: z.int().min(1), seq: z.int().min(1) });
const numberedShape = z.looseObject({ n: z.int().min(1) });
const namedShape = z.looseObject({ id: uuidShape });
/** Bytes of an unreadable event that are kept for the person who looks into it. */
const unreadableBytesMax = 4_000;

export type ReceivedEvent =
  /** `json`: exactly what was parsed. This is what is stored, so that it can be read again. */
  | { readonly kind: 'readable'; readonly event: Event; readonly json: string }
  /** Kept and acknowledged as it is: refusing it would block everything behind it (S35). */
  | {
      readonly kind: 'unreadable';
      readonly n: number;
      /** The event's own id, if it can be read. */
      readonly id: string | null;
      /** The beginning of what came; empty if it is nested too deep to be written. */
      readonly raw: string;
      readonly why: string;
    };

export interface ReceivedCheckIn {
  readonly request: CheckInRequest;
  readonly events: readonly ReceivedEvent[];
  /** What of the request could not be read; each is logged. */
  readonly faults: readonly string[];
}

/**
 * Reads a check-in part by part, so that one bad event or one odd side datum costs only itself.
 * @throws Refusal `check-in-malformed` when even the counter cannot be read
 */
export function readCheckIn(body: Buffer): ReceivedCheckIn {
  const whole = parseJson(body);
  const core = coreShape.safeParse(whole);
  if (!core.success) throw malformed(core.error);
  const faults: string[] = [];
  const part = <Value>(name: string, shape: z.ZodType<Value>, fallback: Value): Value => {
    const parsed = shape.safeParse(core.data[name]);
    if (parsed.success) return parsed.data;
    faults.push(`${name}: ${shapeProblem(parsed.error)}`);
    return fallback;
  };
  const { shape } = checkInRequestShape;
  const start = part('start', shape.start, undefined);
  const awaited = part('awaited', shape.awaited, undefined);
  const last = part('last', shape.last, undefined);
  const machine = part('machine', shape.machine, undefined);
  const authority = part('authority', shape.authority, undefined);
  const trusted = part('trusted', shape.trusted, undefined);
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
    ...(awaited === undefined ? {} : { awaited }),
    ...(last === undefined ? {} : { last }),
    ...(machine === undefined ? {} : { machine }),
    ...(trusted === undefined ? {} : { trusted }),
    ...(authority === undefined ? {} : { authority }),
    quarantine: part('quarantine', shape.quarantine, []) ?? [],
    events: [],
  };
  const list = part('events', z.array(z.unknown()), []).slice(0, eventsPerCheckInMax);
  return { request, events: list.flatMap((raw) => readEvent(raw, faults)), faults };
}

function malformed(cause: unknown): Refusal {
  return new Refusal('check-in-malformed', checkInTexts.malformed, undefined, {
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
  const parsed = eventShape.safeParse(value);
  if (parsed.success) {
    return [{ kind: 'readable', event: parsed.data, json: JSON.stringify(eventAsTravelled(parsed.data)) }];
  }
  const why = cut(shapeProblem(parsed.error), 300);
  const numbered = numberedShape.safeParse(value);
  faults.push(checkInTexts.eventProblem(numbered.success ? numbered.data.n : checkInTexts.withoutNumber, why));
  if (!numbered.success) return [];
  const id = namedShape.safeParse(value).data?.id ?? null;
  const raw = isTooDeep(value) ? '' : clipBytes(JSON.stringify(value), unreadableBytesMax);
  return [{ kind: 'unreadable', n: numbered.data.n, id, raw, why }];
}
