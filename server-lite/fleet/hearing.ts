/** How often this server looks at its own clock … */
export const hearingTickMs = 1_000;
/** … and from which pause between two looks on it was stopped in between, and heard nobody. */
const deafFromMs = 3 * hearingTickMs;

/**
 * For how long an appliance's updater was silent while this server could have heard it. In the server's monotonic time:
 * a clock that is set makes nobody silent, nor does a time in which no server ran, or in which it was stopped (SIGSTOP,
 * a frozen cgroup or machine).
 */
export interface Hearing {
  /** The server begins to listen. */
  begin(): void;
  /** Call it every {@link hearingTickMs}: it shows that the server runs. */
  tick(): void;
  /** The appliance's updater checked in. */
  heard(appliance: string): void;
  /**
   * Milliseconds since its last check-in or, if later, since the server listens, without its stops; 0 before it listens.
   */
  silentMs(appliance: string): number;
}

/**
 * @param monoMs the time that silence is measured in
 * @param ownMs monotonic too: its pauses show that the server was stopped
 */
export function hearingOf(monoMs: () => number, ownMs: () => number): Hearing {
  const heardAt = new Map<string, number>();
  let sinceMs: number | null = null;
  let deafMs = 0;
  let lookedMs = ownMs();
  // Each use counts as a look: after a pause, waiting requests may come before the next tick.
  const listenedMs = (): number => {
    const nowMs = ownMs();
    const pauseMs = nowMs - lookedMs;
    lookedMs = nowMs;
    if (pauseMs > deafFromMs) deafMs += pauseMs - hearingTickMs;
    return monoMs() - deafMs;
  };
  return {
    begin: () => {
      sinceMs = listenedMs();
    },
    tick: () => {
      listenedMs();
    },
    heard: (appliance) => {
      heardAt.set(appliance, listenedMs());
    },
    silentMs: (appliance) => {
      const nowMs = listenedMs();
      return sinceMs === null ? 0 : nowMs - (heardAt.get(appliance) ?? sinceMs);
    },
  };
}
