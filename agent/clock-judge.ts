import type { Clock } from './effects/effects.ts';

/** A wall clock that differs from the server's by more is wrong. */
const differsMax = 120;

/** Whether the wall clock is known to be wrong, by the time of the server's last verified answer. */
export class ClockJudge {
  readonly #clock: Clock;
  #heard: { readonly issuedAtS: number; readonly monoMs: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param issuedAtS of an answer that was verified, in seconds since 1970 */
  heard(issuedAtS: number): void {
    this.#heard = { issuedAtS, monoMs: this.#clock.monoMs() };
  }

  /** False also where nothing is known. */
  get isWrong(): boolean {
    if (this.#heard === null) return false;
    const { issuedAtS, monoMs } = this.#heard;
    const nowS = issuedAtS + (this.#clock.monoMs() - monoMs) / 1_000;
    return Math.abs(this.#clock.wallS() - nowS) > differsMax;
  }
}
