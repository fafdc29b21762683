import { trialsKeptMax } from '../../updater/outcome/kept-trials.ts';
import type { Aside, Readings, Sight } from './sight.ts';

/** What a person gave up: the data after this reading, for the data that this transaction's switch had copied. */
interface GivenUp {
  readonly tx: number;
  readonly upTo: number;
}

/** What lies aside, without what is a copy of what the agent has: seen once, it is known for ever. */
interface Kept {
  readonly aside: Aside;
  readonly own: Readings;
  /** Removed since, within the bounds that such data has. */
  isGone: boolean;
}

const nameOf = ({ kind, tx }: Aside) => `${kind} ${tx}`;

/**
 * The readings of one appliance, over all that happens to it. Each that was acknowledged is in one place: in the agent's
 * state, in that of the factory agent, in what a failed trial left, or in what a person put aside. It leaves the agent's
 * state only as it must: by the trial that made it, or because somebody gave up what came after an older one.
 */
export class Books {
  /** One sentence for each reading that is lost, doubled, changed, or where it must not be. */
  readonly troubles: string[] = [];
  readonly counts = { checked: 0, state: 0, factory: 0, trial: 0, 'put-aside': 0 };
  readonly #appliance: string;
  readonly #kept = new Map<string, Kept>();
  readonly #givenUp = new Map<number, GivenUp>();
  readonly #asideOf = new Map<number, string>();
  /** Acknowledged at an earlier look: no trial since may take it away. */
  #known: ReadonlySet<number> = new Set();
  #owed: ReadonlySet<number> = new Set();

  constructor(appliance: string) {
    this.#appliance = appliance;
  }

  hasSeen(aside: Aside): boolean {
    return this.#kept.has(nameOf(aside));
  }

  /** While it is there: what a trial left goes with the next commit. */
  see(aside: Aside, readings: Readings, state: Readings): void {
    if (this.hasSeen(aside)) return;
    const own = new Map([...readings].filter(([n]) => !state.has(n)));
    this.#kept.set(nameOf(aside), { aside, own, isGone: false });
  }

  /**
   * A person asks for the data that was copied by the switch `tx`.
   * @param copied what is in it
   * @param owed {@link owed} as it was before that switch: none of it may be missing there
   */
  giveUp(tx: number, copied: Readings, owed: ReadonlySet<number>): void {
    const gone = [...owed].filter((n) => !copied.has(n));
    for (const n of gone) this.#say(`reading ${n} was acknowledged before switch ${tx}, and its copy does not have it`);
    this.#givenUp.set(tx, { tx, upTo: Math.max(0, ...copied.keys()) });
  }

  /** What was acknowledged, and in the agent's state, at the last look. */
  get owed(): ReadonlySet<number> {
    return this.#owed;
  }

  /** At rest: no transaction is under way. */
  look(sight: Sight): void {
    for (const { aside, readings } of sight.asides) this.see(aside, readings, sight.state);
    this.#lookForGone(sight);
    for (const n of sight.doubled) this.#say(`reading ${n} was recorded twice`);
    Object.assign(this.counts, { checked: 0, state: 0, factory: 0, trial: 0, 'put-aside': 0 });
    for (const [n, sha256] of sight.acknowledged) this.#lookAt(sight, n, sha256);
    this.#known = new Set(sight.acknowledged.keys());
    this.#owed = new Set([...this.#known].filter((n) => sight.state.has(n)));
  }

  #lookAt(sight: Sight, n: number, sha256: string): void {
    this.counts.checked += 1;
    const places = (['state', 'factory'] as const).filter((place) => sight[place].has(n));
    const aside = this.#asideOf.get(n) ?? this.#findAside(n);
    if (places.length + (aside === null ? 0 : 1) > 1)
      this.#say(`reading ${n} is in ${[...places, ...(aside === null ? [] : [aside])].join(' and in ')}`);
    for (const place of places) {
      this.counts[place] += 1;
      if (sight[place].get(n) !== sha256) this.#say(`reading ${n} in ${place} is another one`);
    }
    const kept = aside === null ? undefined : this.#kept.get(aside);
    if (aside !== null && kept !== undefined) this.#lookAside(sight, kept, n, sha256);
    else if (places.length === 0) this.#say(`reading ${n} was acknowledged, and is nowhere`);
  }

  #lookAside(sight: Sight, { aside, own, isGone }: Kept, n: number, sha256: string): void {
    const name = nameOf(aside);
    this.counts[aside.kind] += 1;
    const there = sight.asides.find((one) => nameOf(one.aside) === name)?.readings ?? own;
    if (!isGone && there.get(n) !== sha256) this.#say(`reading ${n} is not in ${name} any more, or another one`);
    if (own.get(n) !== sha256) this.#say(`reading ${n} in ${name} is another one`);
    if (this.#asideOf.has(n)) return;
    this.#asideOf.set(n, name);
    const { upTo } = this.#givenUp.get(aside.tx) ?? { upTo: null };
    if (aside.kind === 'trial' && this.#known.has(n))
      this.#say(`reading ${n} was acknowledged before the trial that took it along (${name})`);
    if (aside.kind === 'put-aside' && (upTo === null || n <= upTo))
      this.#say(`reading ${n} was put aside (${name}), and nobody gave it up`);
  }

  /** @returns the one place that it went to; null: none */
  #findAside(n: number): string | null {
    const names = [...this.#kept].filter(([, { own }]) => own.has(n)).map(([name]) => name);
    if (names.length > 1) this.#say(`reading ${n} is in ${names.join(' and in ')}`);
    return names[0] ?? null;
  }

  /** What a trial left goes with a commit or with the rollback window; what was put aside, only for newer ones. */
  #lookForGone(sight: Sight): void {
    const there = new Set(sight.asides.map(({ aside }) => nameOf(aside)));
    for (const [name, kept] of this.#kept) {
      if (kept.isGone || there.has(name)) continue;
      kept.isGone = true;
      const newer = [...this.#kept.values()].filter(({ aside }) => aside.tx > kept.aside.tx).length;
      if (kept.aside.kind === 'put-aside' && newer < trialsKeptMax)
        this.#say(`${name} is gone, and only ${newer} were kept after it`);
    }
  }

  #say(text: string): void {
    this.troubles.push(`${this.#appliance}: ${text}`);
  }
}
