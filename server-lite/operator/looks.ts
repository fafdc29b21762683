import type { Core } from '../core.ts';
import { applianceViews } from './appliance-view.ts';
import type { ApplianceView } from './shapes.ts';

/** While nothing changes, a look is reused for this long: ages are shown in whole seconds. */
const unchangedMsMax = 1_000;
/** A look that takes this long or longer is expensive … */
const usuallyDearMs = 20;
/** … and is reused for this many times as long, whatever appliances report: looks take at most a tenth of the time. */
const shareOfTime = 10;

/** What many people look at again and again is made once for all of them. */
export interface Looks {
  /** @param make the view; it may depend only on the fleet, and is called when the fleet has changed */
  shared<Value>(make: () => Value): () => Value;
  /** An operator changed something, and must see it at once. */
  changed(): void;
  readonly appliances: () => readonly ApplianceView[];
}

interface Look<Value> {
  readonly value: Value;
  /** Of the fleet, and of operators' changes. */
  readonly version: string;
  readonly operated: number;
  readonly atMs: number;
  readonly monoMs: number;
  readonly tookMs: number;
}

/** @param dearMs from when on a look is expensive */
export function looksOf(core: Core, dearMs: number = usuallyDearMs): Looks {
  const changes = core.db.prepare<[], { n: number }>('SELECT total_changes() AS n');
  let operated = 0;
  // Rows that this process wrote, commits of other processes, and what is in memory only.
  const versionNow = (): string =>
    `${changes.get()?.n} ${core.db.pragma('data_version', { simple: true })} ${core.presence.version}`;
  const isGood = ({ version, operated: then, atMs, monoMs, tookMs }: Look<unknown>): boolean => {
    if (then !== operated) return false;
    const agoMs = core.monoMs() - monoMs;
    if (tookMs >= dearMs && agoMs < tookMs * shareOfTime) return true;
    return agoMs < unchangedMsMax && Math.abs(core.nowMs() - atMs) < unchangedMsMax && version === versionNow();
  };
  const shared = <Value>(make: () => Value): (() => Value) => {
    let last: Look<Value> | null = null;
    return () => {
      if (last !== null && isGood(last)) return last.value;
      const [version, then, monoMs, atMs] = [versionNow(), operated, core.monoMs(), core.nowMs()];
      const value = make();
      last = { value, version, operated: then, atMs, monoMs, tookMs: core.monoMs() - monoMs };
      return value;
    };
  };
  return {
    shared,
    changed: () => {
      operated += 1;
    },
    appliances: shared(() => applianceViews(core)),
  };
}
