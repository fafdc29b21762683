import type { Clock } from '../../../updater/effects/clock.ts';

/** A clock that stands still until the test moves it; a delay moves it at once. */
export class TestClock implements Clock {
  nowMs = 100_000;
  boot = '00000000-0000-4000-8000-000000000001';
  wall = 1_780_000_000;

  monoMs(): number {
    return this.nowMs;
  }

  bootId(): string {
    return this.boot;
  }

  wallS(): number {
    return this.wall;
  }

  delay(ms: number): Promise<void> {
    this.nowMs += ms;
    return Promise.resolve();
  }
}
