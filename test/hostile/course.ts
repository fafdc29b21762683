import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { historyOf, serves, told } from '../scenarios/scene.ts';
import { checkRecords } from '../soak/records.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import type { Attack } from './attack.ts';
import { schemaIn } from './look.ts';
import { arrivesWithinMs, good, nextRelease, revertedWithinMs, type Site } from './site.ts';

/** What one appliance went through, for the tests to judge. */
export interface Course {
  /** The attack was seen at work before anything else was asked. */
  readonly tookEffect: true;
  /** `from -> to outcome reason` */
  readonly told: readonly string[];
  /** From the decision to the committed release. */
  readonly arrivedMs: number;
  /** Records that the server had acknowledged and that are not where they should be. */
  readonly lost: readonly string[];
}

const readingShape = z.object({ name: z.string(), sha256: z.string() });

/** Acknowledged readings that are not in the agent's state as they were. */
function missingReadings(path: string, acknowledged: readonly z.infer<typeof readingShape>[]): string[] {
  const database = readOnlyDatabase(path);
  try {
    const rows = z.array(readingShape).parse(database.prepare('SELECT name, sha256 FROM readings').all());
    const kept = new Map(rows.map(({ name, sha256 }) => [name, sha256]));
    return acknowledged.filter(({ name, sha256 }) => kept.get(name) !== sha256).map(({ name }) => `${name} is gone`);
  } finally {
    database.close();
  }
}

async function endOf(
  site: Site,
  box: ApplianceBox,
  destroys: Attack['destroys'],
  before: readonly z.infer<typeof readingShape>[],
) {
  const { server } = site.world;
  await site.recordsBeyond(box, (await server.records(box.options.name)).length);
  const { transactions } = await box.status();
  await box.powerOff();
  const lost = [
    ...(destroys.includes('outbox') ? [] : checkRecords(box, server.dir).lost),
    ...(destroys.includes('state') ? [] : missingReadings(box.layout.stateDb, before)),
  ];
  return { told: told(transactions), lost };
}

/** It is what runs: seen at its attack, then the next release is decided on, and must get in. */
export async function committedCourse(site: Site, attack: Attack): Promise<Course> {
  return site.withAppliance(`runs-${attack.version}`, attack.version, attack, (box) =>
    courseOfRunning(site, attack, box),
  );
}

async function courseOfRunning(site: Site, attack: Attack, box: ApplianceBox): Promise<Course> {
  const tookEffect = await site.proveEffect(box, attack);
  const before = await site.world.server.records(box.options.name);
  await site.assign(box, nextRelease);
  const arrivedMs = await site.commits(box, nextRelease, arrivesWithinMs);
  return { tookEffect, arrivedMs, ...(await endOf(site, box, attack.destroys, before)) };
}

/** It is on trial: seen at its attack, rolled back, the version before serves; then the next release must get in. */
export async function trialCourse(site: Site, attack: Attack): Promise<Course> {
  await site.publish(attack.version);
  const { settings = {}, diskOnTrial: disk } = attack;
  const needs = { settings, ...(disk === undefined ? {} : { disk }) };
  return site.withAppliance(`tries-${attack.version}`, good, needs, (box) => courseOfTried(site, attack, box));
}

async function courseOfTried(site: Site, attack: Attack, box: ApplianceBox): Promise<Course> {
  await serves(box, good);
  await site.recordsBeyond(box, 3);
  const before = await site.world.server.records(box.options.name);
  await site.assign(box, attack.version);
  const tookEffect = await site.proveEffect(box, attack);
  await until(`${attack.version} is rolled back`, revertedWithinMs, async () =>
    (await historyOf(box, 1)).length >= 1 ? true : null,
  );
  await serves(box, good);
  await site.assign(box, nextRelease);
  const arrivedMs = await site.commits(box, nextRelease, arrivesWithinMs);
  // The state comes back with the version before, whatever the trial made of it.
  const destroys = attack.destroys.filter((what) => what !== 'state');
  return { tookEffect, arrivedMs, ...(await endOf(site, box, destroys, before)) };
}

/** What a trial brought back that found a state which it could not take, and then failed for another reason. */
export interface BroughtBack {
  readonly told: readonly string[];
  /** Files that are byte for byte what they were before the switch. */
  readonly restored: readonly string[];
  /** The numbers in the databases that were kept aside: by the trial, and by what came back. */
  readonly numbers: readonly unknown[];
  /** Readings of before that are in none of the databases that are there now. */
  readonly missing: readonly string[];
}

/** It is what runs, and what follows it is no better: that is rolled back, and what it found is there again. */
export async function failedNextCourse(site: Site, attack: Attack, next: string): Promise<BroughtBack> {
  await site.publish(next);
  return site.withAppliance(`fails-after-${attack.version}`, attack.version, attack, async (box) => {
    await site.proveEffect(box, attack);
    const before = await site.world.server.records(box.options.name);
    await site.assign(box, next);
    const line = await until(
      `${next} is rolled back`,
      revertedWithinMs,
      async () => (await historyOf(box, 1))[0] ?? null,
    );
    await box.powerOff();
    const same = (line.restored ?? []).filter(({ snapshot, restored }) => snapshot === restored);
    const databases = readdirSync(box.layout.agent).filter((name) => /^state\.db(\.unreadable-\d)?$/.test(name));
    const paths = databases.map((name) => join(box.layout.agent, name));
    const missing = paths.map((path) => missingReadings(path, before));
    return {
      told: told([line]),
      restored: same.map(({ name }) => name),
      numbers: paths.filter((path) => path !== box.layout.stateDb).map(schemaIn),
      missing: before
        .map(({ name }) => `${name} is gone`)
        .filter((lost) => missing.every((each) => each.includes(lost))),
    };
  });
}

/** Courses that run beside each other, so many at a time, in this order. */
export class Courses {
  readonly #running: Promise<unknown>[];
  readonly #found = new Map<string, Promise<Course>>();

  constructor(atOnce: number) {
    this.#running = Array.from({ length: atOnce }, () => Promise.resolve());
  }

  add(name: string, run: () => Promise<Course>): void {
    const lane = this.#found.size % this.#running.length;
    const course = (this.#running[lane] ?? Promise.resolve()).then(run);
    // Told by the test that asks for it; the lane goes on.
    this.#running[lane] = course.catch(() => undefined);
    this.#found.set(name, course);
  }

  of(name: string): Promise<Course> {
    const course = this.#found.get(name);
    if (course === undefined) throw new RangeError(`no course ${name}`);
    return course;
  }
}
