import Sqlite from 'better-sqlite3';
import { type Asking, asksUnder, nothingUnheard, type Unheard, unheardAfter } from '../protocol/authority.ts';
import type { Log } from './effects/effects.ts';
import type { Outbox } from './outbox.ts';
import { checkInTexts } from './texts.ts';

/**
 * The authority that the server goes by, as it said in a signed answer; requests are signed for it from then on. Kept
 * in outbox.db, which no rollback restores; if it cannot be written, it holds while this agent runs.
 */
export class KnownAuthority {
  readonly #outbox: Outbox;
  readonly #log: Log;
  #unheard: Unheard = nothingUnheard;
  /** undefined: not read yet. */
  #known: string | null | undefined;

  constructor(outbox: Outbox, log: Log) {
    this.#outbox = outbox;
    this.#log = log;
  }

  /** How the next round asks. */
  asks(authority: string | null): Asking {
    if (this.#known === undefined) this.#known = this.#outbox.serverAuthority;
    return asksUnder(authority, this.#known, this.#unheard);
  }

  /** @param isVerified the server answered */
  heard(asked: Asking, isVerified: boolean): void {
    this.#unheard = unheardAfter(asked, this.#unheard, isVerified);
  }

  /** Only after a signed answer of the server. */
  keep(authority: string | null): void {
    if (this.#known === authority) return;
    this.#known = authority;
    try {
      this.#outbox.serverAuthority = authority;
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError)) throw error;
      this.#log.error({ code: error.code }, checkInTexts.nameNotNoted);
    }
  }
}
