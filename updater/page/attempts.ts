import { dirname } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { readFile, readJson, writeNewFile } from '../effects/durable.ts';
import { setAside } from '../effects/kept-file.ts';
import { pageTexts } from '../words/texts.ts';
import type { PageEffects } from './effects.ts';
import {
  decodeFailures,
  encodeFailures,
  type Failures,
  failuresBytes,
  failuresOf,
  inBoot,
  noFailures,
  type PeerName,
  type Tally,
  tallyOf,
  withFailure,
  withoutFailures,
} from './failures.ts';
import { isPin, pinBytesMax, pinRecordShape } from './pin.ts';

/** Wrong PINs before the first wait. */
const freeFailures = 5;
/** The first wait; each further failure doubles it, up to the longest wait: nobody is locked out for ever. */
const firstWaitMs = 2_000;
const longestWaitMs = 5 * 60_000;
/** Tries of one peer that may wait to be checked; each check costs 16 MiB, and only one runs at a time. */
const waitingMax = 4;

/** The result of one try. Only `right` changes anything on the appliance. */
export type Attempt =
  | { readonly outcome: 'right' }
  | { readonly outcome: 'wrong'; readonly left: number }
  | { readonly outcome: 'wait'; readonly seconds: number }
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'no-pin' }
  | { readonly outcome: 'not-counted'; readonly why: string };

/** The wait after this many failures, in milliseconds. */
export function waitAfterMs(count: number): number {
  return count < freeFailures ? 0 : Math.min(firstWaitMs * 2 ** Math.min(count - freeFailures, 30), longestWaitMs);
}

function waitMsOf({ count, monoMs }: Tally, nowMs: number): number {
  return Math.max(0, waitAfterMs(count) - Math.max(0, nowMs - monoMs));
}

/**
 * Checks PINs one after the other, and counts each try on disk before it checks it, by the peer that sent it: the wrong
 * PINs of one peer never delay those of another.
 */
export class Attempts {
  readonly #effects: PageEffects;
  readonly #layout: Layout;
  #last: Promise<unknown> = Promise.resolve();
  #saidDamage = false;
  readonly #waiting = new Map<PeerName, number>();

  constructor(effects: PageEffects, layout: Layout) {
    this.#effects = effects;
    this.#layout = layout;
  }

  async try(typed: string, peer: PeerName): Promise<Attempt> {
    const waiting = this.#waiting.get(peer) ?? 0;
    if (waiting >= waitingMax) return { outcome: 'busy' };
    this.#waiting.set(peer, waiting + 1);
    const attempt = this.#last.then(() => this.#tryNow(typed, peer));
    // The next try waits for the end of this one, however it ends.
    this.#last = attempt.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await attempt;
    } finally {
      const left = (this.#waiting.get(peer) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(peer);
      else this.#waiting.set(peer, left);
    }
  }

  async #tryNow(typed: string, peer: PeerName): Promise<Attempt> {
    const record = this.#readPin();
    if (record === null) return { outcome: 'no-pin' };
    const failures = this.#read();
    const nowMs = this.#effects.clock.monoMs();
    const tally = tallyOf(failures, peer, nowMs);
    const waitMs = waitMsOf(tally, nowMs);
    if (waitMs > 0) return { outcome: 'wait', seconds: Math.ceil(waitMs / 1000) };
    // Counted and synced first: pulling the plug while a PIN is checked must not give a free try.
    const counted = withFailure(failures, peer, nowMs);
    const why = this.#write(counted);
    if (why !== null) return { outcome: 'not-counted', why };
    if (!(await isPin(record, typed))) {
      return { outcome: 'wrong', left: Math.max(0, freeFailures - tally.count - 1) };
    }
    this.#write(withoutFailures(counted, peer, nowMs));
    return { outcome: 'right' };
  }

  /** Without one nothing can be done here. */
  hasPin(): boolean {
    return this.#readPin() !== null;
  }

  #readPin() {
    const { files, log } = this.#effects;
    try {
      return pinRecordShape.nullable().parse(readJson(files, this.#layout.pin, pinBytesMax));
    } catch (error) {
      // Once: each look at the page reads it.
      if (!this.#saidDamage) log(pageTexts.fileUnreadable(this.#layout.pin, String(error)));
      this.#saidDamage = true;
      return null;
    }
  }

  /** An unreadable file counts as if all free tries were used. */
  #read(): Failures {
    const boot = this.#effects.clock.bootId();
    try {
      const bytes = readFile(this.#effects.files, this.#layout.pinFailures, failuresBytes);
      return inBoot(bytes === null ? noFailures : decodeFailures(bytes), boot);
    } catch (error) {
      this.#effects.log(pageTexts.fileUnreadable(this.#layout.pinFailures, String(error)));
      return failuresOf(freeFailures, 0, boot);
    }
  }

  /** @returns why the count could not be made durable, or null */
  #write(failures: Failures): string | null {
    const { files, log } = this.#effects;
    const path = this.#layout.pinFailures;
    const bytes = encodeFailures(failures);
    try {
      const facts = files.stat(path);
      // Something other than a file cannot hold the count: it is moved aside, and every free try stays used until the
      // wait is over.
      if (facts !== null && facts.kind !== 'file') setAside(files, path);
      if (facts?.kind !== 'file') {
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
      log(pageTexts.fileUnwritable(path, String(error)));
      return error instanceof Error ? error.message : String(error);
    }
  }
}
