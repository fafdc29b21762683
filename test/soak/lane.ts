import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { SlotName } from '../../protocol/component.ts';
import { committedName, committedShape } from '../../protocol/seal.ts';
import { type Row, rows } from '../../protocol/state-record.ts';
import { databaseName, snapshotDirectory } from '../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { readUpdaterEnds } from '../../updater/launch/end.ts';
import { readRecord } from '../../updater/record/record-store.ts';
import { verifyInstalled } from '../../updater/release/verify-slot.ts';
import { askUpdater, isCommittedSound, stateOf, wakeUpdater } from '../support/killing/look.ts';
import { changeSettings } from '../support/killing/own-settings.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { Blow } from './blow.ts';
import { Books } from './books.ts';
import { type Flow, isOfUpdater, type Situation, type Strike } from './plan.ts';
import { oneOf } from './random.ts';
import type { Releases } from './releases.ts';
import { asidesOf, readingsAside, readingsBefore, readingsNow, sightOf } from './sight.ts';
import type { Place } from './tally.ts';

/** Where no other row comes within this time, none is waited for any longer: what is there then is struck. */
const rowComesWithinMs = 4_000;
/** What is bad needs its tries, and the time that it may stand still; what is damaged is found after a boot. */
const slowRows: ReadonlySet<Row> = new Set(['reverting', 'safe']);
const slowRowComesWithinMs = 12_000;
const restsWithinMs = 90_000;
const closesWithinMs = 30_000;
const bringsEveryMs = 5_000;
const lookEveryMs = 1;
/** The blow falls so far into its row at the most; most often at once, because some rows are over in a few milliseconds. */
const intoRowMsMax = 100;
/** Kept open while anything can fail: what a failed trial leaves goes with the window, and is looked at before. */
const windowMs = 60 * 60_000;

const placeShape = z.object({ row: z.enum(rows), transaction: z.object({ component: z.string() }).nullable() });
const answerShape = z.object({ id: z.string(), outcome: z.string(), text: z.string(), open: z.boolean().optional() });

/** One appliance, struck again and again. */
export class Lane {
  readonly box: ApplianceBox;
  readonly books: Books;
  readonly #releases: Releases;
  readonly #random: () => number;
  /** What no way back may lose: acknowledged before the switch to a version that rewrites the data. */
  #owed: ReadonlySet<number> = new Set();
  /** The last request: what a kill or a reboot took away is never answered, but none may be refused. */
  #asked: string | null = null;

  constructor(box: ApplianceBox, releases: Releases, random: () => number) {
    this.box = box;
    this.books = new Books(box.options.name);
    this.#releases = releases;
    this.#random = random;
  }

  get situation(): Situation {
    const { committed, previous } = stateOf(this.box).app;
    const rewrites = (version: string) => this.#releases.rewriting.some((one) => one.version === version);
    const previousRewrites = previous !== null && rewrites(previous.version);
    const tx = this.#committingTx(committed.slot);
    const isCopied = tx !== null && existsSync(join(snapshotDirectory(this.box.layout, tx), databaseName));
    const hasPrevious = previous !== null;
    const isRewritten = rewrites(committed.version);
    return {
      hasPrevious,
      previousRewrites,
      isRewritten,
      hasDataOfBefore: hasPrevious && !previousRewrites && isCopied,
    };
  }

  /** @returns where something died; null when nothing did */
  async strike(plan: Strike): Promise<Place | null> {
    this.#asked = await this.#begin(plan.flow);
    const blow = new Blow(this.box, plan);
    await this.#reach(plan.place, blow);
    await delay(Math.floor(this.#random() ** 3 * intoRowMsMax));
    const killed = await blow.fall();
    const place = this.place;
    if (killed && plan.victim === 'plug') await this.box.powerOn();
    this.#keepWindow(windowMs);
    return killed ? place : null;
  }

  /** Until the appliance serves its committed version again, whole; by what it has, and nobody's help. */
  async rests(flow: Flow = 'quiet'): Promise<void> {
    const { name } = this.box.options;
    wakeUpdater(this.box);
    const sinceMs = Date.now();
    let askedMs = -Infinity;
    await until(`${name} rests`, restsWithinMs, async () => {
      const { row, app } = stateOf(this.box);
      if (row === 'idle' || row === 'safe') this.#seeAsides();
      // Where nothing is left to go back to, somebody brings a bundle.
      if (row === 'safe' && performance.now() - askedMs > bringsEveryMs) {
        askedMs = performance.now();
        // The one that is damaged: whatever else there is may not read the data that it wrote.
        const { good, bad, rewriting } = this.#releases;
        const same = [...good, ...bad, ...rewriting].filter(({ version }) => version === app.committed.version);
        this.#install(same.length > 0 ? same : good);
      }
      if (row !== 'idle' || this.#isAskedFor() || this.#isBeginning() || this.box.agentPid() === null) return null;
      if (isOfUpdater(flow) && !this.#hasRunUpdater(sinceMs)) return null;
      // Thrown again and again where nobody ever notices.
      if (!isCommittedSound(this.box)) throw new Error(`${name}: the committed slot is not whole`);
      return row;
    });
    if (isOfUpdater(flow)) this.#requireUpdater();
    this.#requireNotRefused(flow);
    this.books.look(sightOf(this.box));
  }

  /** Looked at a thousand times a second: no more of the record than this is read. */
  get place(): Place {
    const record = readRecord(realFiles, this.box.layout.stateRecords);
    const parsed = placeShape.safeParse(record?.body);
    // Only an updater on trial leaves a record that nobody else reads, until the one before it has put it back.
    if (!parsed.success) return { row: 'trial', component: 'updater' };
    const { row, transaction } = parsed.data;
    return { row, component: transaction?.component === 'updater' ? 'updater' : 'app' };
  }

  /** Until its row comes, or what began is over without it, or nothing moves any more. */
  async #reach({ row, component }: Place, blow: Blow): Promise<void> {
    const movesWithinMs = slowRows.has(row) ? slowRowComesWithinMs : rowComesWithinMs;
    let before: Row = 'idle';
    let movedMs = performance.now();
    for (; performance.now() - movedMs < movesWithinMs; await delay(lookEveryMs)) {
      const here = this.place;
      if (here.row === row && here.component === component) return;
      if (here.row === 'idle' && before !== 'idle') return;
      if (here.row !== before) movedMs = performance.now();
      before = here.row;
      blow.aim();
    }
  }

  /** @returns the request; null: nobody asked for anything */
  async #begin(flow: Flow): Promise<string | null> {
    const { good, bad, rewriting, updaters } = this.#releases;
    const { app, updater } = stateOf(this.box);
    if (flow !== 'data') this.#owed = this.books.owed;
    switch (flow) {
      case 'good': {
        const fitting = this.situation.isRewritten ? rewriting : good;
        const others = fitting.filter(({ version }) => version !== app.committed.version);
        return this.#install(others.length > 0 ? others : fitting);
      }
      case 'bad':
        return this.#install(bad);
      case 'rewrite':
        return this.#install(rewriting);
      case 'self':
        await this.#closeWindow();
        return this.#install(updaters.good.filter(({ version }) => version !== updater.committed.version));
      case 'self-bad':
        await this.#closeWindow();
        return this.#install(updaters.bad);
      case 'rot':
        // With a version to go back to, and without.
        if (this.#random() < 1 / 2) await this.#closeWindow();
        await this.#rot(app.committed.slot);
        return null;
      case 'return':
        return askUpdater(this.box, { kind: 'rollback' });
      case 'data':
        return this.#goBackToData(app.committed.slot);
      case 'quiet':
        this.#keepWindow(0);
        wakeUpdater(this.box);
        return null;
      default:
        return flow satisfies never;
    }
  }

  #install(bundles: readonly Built[]): string {
    return askUpdater(this.box, { kind: 'install', file: oneOf(this.#random, bundles).path });
  }

  /** As a person does who was told that the data is less than an hour old. */
  #goBackToData(slot: SlotName): string {
    const tx = this.#committingTx(slot);
    if (tx === null) throw new Error(`${this.box.options.name}: nothing says what committed slot ${slot}`);
    const copied = readingsBefore(this.box, tx);
    if (copied === null) throw new Error(`${this.box.options.name}: the copy of switch ${tx} is not there`);
    this.books.giveUp(tx, copied, this.#owed);
    return askUpdater(this.box, { kind: 'rollback', data: { tx, ageH: 0 } });
  }

  #committingTx(slot: SlotName): number | null {
    const path = join(this.box.layout.slot('app', slot), committedName);
    return existsSync(path) ? committedShape.parse(JSON.parse(readFileSync(path, 'utf8'))).tx : null;
  }

  /** An updater is not replaced while the agent's version before can come back. */
  async #closeWindow(): Promise<void> {
    this.#keepWindow(0);
    wakeUpdater(this.box);
    await until(`${this.box.options.name} closes its window`, closesWithinMs, () => {
      const { row, app } = stateOf(this.box);
      return row === 'idle' && app.previous === null ? true : null;
    });
    this.#keepWindow(windowMs);
  }

  #keepWindow(rollbackWindowMs: number): void {
    changeSettings(this.box, () => ({ rollbackWindowMs }));
  }

  #requireNotRefused(flow: Flow): void {
    const answer = this.#answer();
    if (answer?.outcome === 'refused') throw new Error(`${this.box.options.name}: ${flow} was refused: ${answer.text}`);
  }

  /** What its own request was answered; null: nothing yet, or a reboot has forgotten it. */
  #answer(): z.infer<typeof answerShape> | null {
    const path = join(this.box.layout.run, 'last-request.json');
    if (!existsSync(path)) return null;
    const answer = answerShape.parse(JSON.parse(readFileSync(path, 'utf8')));
    return answer.id === this.#asked ? answer : null;
  }

  /** The updater took the request, which is gone, and its record may not say so yet. */
  #isBeginning(): boolean {
    return this.#answer()?.open === true;
  }

  #isAskedFor(): boolean {
    return readdirSync(this.box.layout.requests).some((name) => name.endsWith('.json'));
  }

  #seeAsides(): void {
    for (const aside of asidesOf(this.box)) {
      const readings = this.books.hasSeen(aside) ? null : readingsAside(this.box, aside);
      if (readings !== null) this.books.see(aside, readings, readingsNow(this.box));
    }
  }

  /** A run of the committed updater ended well since then. */
  #hasRunUpdater(sinceMs: number): boolean {
    const ends = readUpdaterEnds(realFiles, this.box.layout);
    if (ends === null || statSync(this.box.layout.updaterEnds).mtimeMs < sinceMs) return false;
    return ends.slot === stateOf(this.box).updater.committed.slot && ends.failures === 0;
  }

  #requireUpdater(): void {
    const { layout, options } = this.box;
    const { slot, version, manifest } = stateOf(this.box).updater.committed;
    if (this.#releases.updaters.bad.some((one) => one.version === version))
      throw new Error(`${options.name}: updater ${version} is committed, which fails its trial`);
    if (existsSync(layout.armedState)) throw new Error(`${options.name}: the trial of an updater has left its record`);
    if (!verifyInstalled(realFiles, layout, 'updater', slot, manifest).sound)
      throw new Error(`${options.name}: updater ${version} is not whole`);
  }

  async #rot(slot: SlotName): Promise<void> {
    // Factory is all that is left when everything else is gone.
    if (slot === 'factory') return wakeUpdater(this.box);
    await this.box.pullThePlug();
    const path = join(this.box.layout.slot('app', slot), 'main.js');
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await this.box.powerOn();
  }
}
