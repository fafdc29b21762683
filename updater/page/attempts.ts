import { dirname } from 'node:path';
import { z } from 'zod';
import type { Layout } from '../../protocol/layout.ts';
import { readFile, readJson, writeNewFile } from '../effects/durable.ts';
import type { PageEffects } from './effects.ts';
import { isPin, pinRecordShape } from './pin.ts';

/** Wrong PINs that cost nothing but the typing. */
const freeFailures = 5;
/** The wait after the next one; it doubles with each, up to the longest: nobody is locked out for ever. */
const firstWaitMs = 2_000;
const longestWaitMs = 5 * 60_000;
/** One sector, written in place: no power cut tears it, and a full disk does not stop it. */
const recordBytes = 512;
const pinBytesMax = 4 * 1024;
/** People who may wait for their PIN to be checked; each check costs 16 MiB. */
const waitingMax = 4;

const failuresShape = z.object({
  v: z.literal(1),
  count: z.int().min(0),
  last: z.object({ boot: z.string(), monoMs: z.number() }),
});
type Failures = z.infer<typeof failuresShape>;

/** What became of one try. Everything but `right` changes nothing on the appliance. */
export type Attempt =
  | { readonly outcome: 'right' }
  | { readonly outcome: 'wrong'; readonly left: number }
  | { readonly outcome: 'wait'; readonly seconds: number }
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'no-pin' }
  | { readonly outcome: 'not-counted'; readonly why: string };

/** The wait after so many failures, in milliseconds. */
export function waitAfterMs(count: number): number {
  return count < freeFailures ? 0 : Math.min(firstWaitMs * 2 ** Math.min(count - freeFailures, 30), longestWaitMs);
}

/** Checks PINs one after the other, and counts each try on disk before it looks at it. */
export class Attempts {
  readonly #effects: PageEffects;
  readonly #layout: Layout;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(effects: PageEffects, layout: Layout) {
    this.#effects = effects;
    this.#layout = layout;
  }

  async try(typed: string): Promise<Attempt> {
    if (this.#waiting >= waitingMax) return { outcome: 'busy' };
    this.#waiting += 1;
    const attempt = this.#last.then(() => this.#tryNow(typed));
    // The next one waits for the end of this one, however it ends.
    this.#last = attempt.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await attempt;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #tryNow(typed: string): Promise<Attempt> {
    const record = this.#readPin();
    if (record === null) return { outcome: 'no-pin' };
    const failures = this.#read();
    const waitMs = this.#waitMs(failures);
    if (waitMs > 0) return { outcome: 'wait', seconds: Math.ceil(waitMs / 1000) };
    // Counted and synced first: pulling the plug while a PIN is checked must not give a free try.
    const why = this.#write(failures.count + 1);
    if (why !== null) return { outcome: 'not-counted', why };
    if (!(await isPin(record, typed))) {
      return { outcome: 'wrong', left: Math.max(0, freeFailures - failures.count - 1) };
    }
    this.#write(0);
    return { outcome: 'right' };
  }

  #readPin() {
    const { files, log } = this.#effects;
    try {
      return pinRecordShape.nullable().parse(readJson(files, this.#layout.pin, pinBytesMax));
    } catch (error) {
      log(`${this.#layout.pin} can not be read: ${String(error)}`);
      return null;
    }
  }

  /** What can not be read counts as all free tries used. */
  #read(): Failures {
    const last = { boot: '', monoMs: 0 };
    try {
      const bytes = readFile(this.#effects.files, this.#layout.pinFailures, recordBytes);
      if (bytes === null) return { v: 1, count: 0, last };
      return failuresShape.parse(JSON.parse(bytes.toString('utf8')));
    } catch (error) {
      this.#effects.log(`${this.#layout.pinFailures} can not be read: ${String(error)}`);
      return { v: 1, count: freeFailures, last };
    }
  }

  #waitMs({ count, last }: Failures): number {
    const { clock } = this.#effects;
    // Monotonic times of two boots do not compare: in a new boot, the wait begins with the boot.
    const since = last.boot === clock.bootId() ? last.monoMs : 0;
    return Math.max(0, waitAfterMs(count) - Math.max(0, clock.monoMs() - since));
  }

  /** @returns why the count could not be made durable, or null */
  #write(count: number): string | null {
    const { files, clock, log } = this.#effects;
    const path = this.#layout.pinFailures;
    const failures: Failures = { v: 1, count, last: { boot: clock.bootId(), monoMs: clock.monoMs() } };
    const bytes = Buffer.from(JSON.stringify(failures).padEnd(recordBytes));
    try {
      if (files.stat(path) === null) {
        writeNewFile(files, path, bytes, 0o600);
        files.syncDirectory(dirname(path));
        return null;
      }
      const handle = files.openWrite(path);
      try {
        files.write(handle, bytes, 0);
        files.sync(handle);
      } finally {
        files.close(handle);
      }
      return null;
    } catch (error) {
      log(`${path} can not be written: ${String(error)}`);
      return error instanceof Error ? error.message : String(error);
    }
  }
}
