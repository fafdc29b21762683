/** Lets one loop wait for a time that another may cut short. A ring while nothing waits is kept. */
export class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Returns after `ms`, at a ring, or when the signal aborts, whichever is first. @returns was it a ring? */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => end(), Math.max(ms, 0));
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          this.#wake = null;
          resolve();
        };
        this.#wake = end;
        signal.addEventListener('abort', end, { once: true });
      });
    }
    const wasRung = this.#rung;
    this.#rung = false;
    return wasRung;
  }
}
