import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answers } from './answers.ts';
import { type Course, Courses, committedCourse, failedNextCourse, trialCourse } from './course.ts';
import { deeds } from './deeds.ts';
import { arrivesWithinMs, good, nextRelease, Site } from './site.ts';

/**
 * Agents that do what they can to stay: each is seen at its attack, from outside; then the release that an operator
 * decides on must get in, within a stated time, and what the server acknowledged must be there.
 */
const site = new Site();
const courses = new Courses(3);
const attacks = [...deeds, ...answers];
const running = attacks.filter(({ asCommitted }) => asCommitted);
const tried = attacks.flatMap((attack) => (attack.onTrial === null ? [] : [{ ...attack, reason: attack.onTrial }]));

const future = attacks.filter(({ version }) => version === '1.0.90');

beforeAll(async () => {
  await site.found();
  // The longer ones first.
  for (const attack of tried) courses.add(`tries ${attack.version}`, () => trialCourse(site, attack));
  for (const attack of running) courses.add(`runs ${attack.version}`, () => committedCourse(site, attack));
});

afterAll(() => site.end());

function expectArrived(course: Course, expected: readonly string[]): void {
  expect(course.tookEffect).toBe(true);
  expect(course.told).toEqual(expected);
  expect(course.arrivedMs).toBeLessThan(arrivesWithinMs);
  expect(course.lost).toEqual([]);
}

describe('the next release gets in where the agent that runs', () => {
  it.each(running)('$how ($version)', async ({ version }) => {
    const course = await courses.of(`runs ${version}`);
    expectArrived(course, [`${version} -> ${nextRelease} committed`]);
  });
});

describe('a trial is rolled back for its reason, and the next release gets in, where the version on trial', () => {
  it.each(tried)('$how: $reason ($version)', async ({ version, reason }) => {
    const course = await courses.of(`tries ${version}`);
    expectArrived(course, [`${good} -> ${version} rolled-back ${reason}`, `${good} -> ${nextRelease} committed`]);
  });
});

describe('a trial that began with a state of its own, because nothing could read what it found', () => {
  it.each(future)('and then fails brings back what it found, byte for byte: what $how ($version)', async (attack) => {
    const { told, restored, numbers, missing } = await failedNextCourse(site, attack, '1.0.55');
    expect(told).toEqual([`${attack.version} -> 1.0.55 rolled-back flap`]);
    expect(restored).toContain('state.db');
    expect(numbers).not.toEqual([]);
    expect(numbers.every((number) => number === 2 ** 31)).toBe(true);
    expect(missing).toEqual([]);
  });
});
