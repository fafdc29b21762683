import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { revokeRelease } from '../../image/repository.ts';
import { makeProgram } from '../../server-lite/cli/program.ts';
import { rolloutFleet } from '../support/rollout-fleet.ts';

const codeOf = (body: unknown) => z.object({ code: z.string(), next: z.string() }).parse(body);

/** What a command prints, and how it ends, while `step` happens between two looks. */
async function commanded(
  fleet: Awaited<ReturnType<typeof rolloutFleet>>,
  line: readonly string[],
  step: () => Promise<unknown> = async () => undefined,
) {
  const { bench } = fleet;
  const printed: string[] = [];
  const config = join(bench.directory, 'cli.json');
  const tokenFile = join(bench.directory, 'token');
  writeFileSync(tokenFile, bench.token, { mode: 0o600 });
  writeFileSync(config, JSON.stringify({ url: bench.url, tokenFile }), { mode: 0o600 });
  const print = (text: string) => void printed.push(text);
  const sleep = async () => void (await step());
  const program = makeProgram({
    print,
    output: {},
    sleep,
    askToken: () => Promise.reject(new Error('nobody is there')),
    version: '1',
    places: { directory: bench.directory, config },
    root: bench.directory,
  });
  const end = await program.parseAsync(line, { from: 'user' }).then(
    () => 'finished',
    (error: unknown) => z.object({ code: z.string(), message: z.string(), next: z.string() }).parse(error),
  );
  return { printed, end };
}

describe('the end of a rollout', () => {
  it('is finished when everyone who is there has it; whoever comes late still gets it', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    for (const name of ['beta', 'alpha']) await fleet.runs(name, '1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ state: 'finished', stage: 'done' });
    await bench.rollOut('1.0.53', ['beta']);
    expect(await fleet.offered('beta')).toBe('1.0.53');
    await fleet.get('beta').checkIn('updater', { health: { status: 'unknown', row: 'trial', agentAlive: true } });
    expect(await bench.rollout(id)).toMatchObject({ state: 'finished', stage: 'done', proven: ['alpha', 'beta'] });
    const late = await bench.appliance('late');
    expect((await late.checkIn('updater')).desired?.release?.version).toBe('1.0.52');
  });

  it('is superseded when a newer one is for everyone, and not before', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta', 'gamma'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    const older = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.runs('alpha', '1.0.52');
    const newer = await bench.rollOut('1.0.53', ['beta']);
    expect(await fleet.offered('gamma')).toBe('1.0.52');
    await fleet.runs('beta', '1.0.53');
    expect(await fleet.offered('gamma')).toBe('1.0.53');
    expect(await bench.rollout(older.id)).toMatchObject({
      state: 'superseded',
      reason: `superseded by app 1.0.53, rollout ${newer.id}`,
      proven: ['alpha'],
    });
    // Nobody gets it any more, but whoever lost it.
    await fleet.change(newer.id, 'pause');
    expect(await fleet.offered('gamma')).toBeNull();
    const lost = { health: { status: 'fail', row: 'safe', agentAlive: false } };
    expect(await fleet.offered('alpha', lost)).toBe('1.0.52');
    const refused = await fleet.change(older.id, 'resume');
    expect([refused.status, codeOf(refused.body)]).toEqual([
      409,
      { code: 'rollout-ended', next: 'to roll it out again: holdfast rollout start 1.0.52' },
    ]);
  });

  it('comes for each older one of the same release with the start of a newer one', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    const paused = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.change(paused.id, 'pause', 'for lunch');
    const failed = await bench.rollOut('1.0.52', ['alpha']);
    expect(await bench.rollout(paused.id)).toMatchObject({
      state: 'superseded',
      reason: `for lunch; then superseded by app 1.0.52, rollout ${failed.id}`,
    });
    await fleet.offered('alpha');
    await fleet.report('alpha', '1.0.52');
    const newest = await bench.rollOut('1.0.52', ['beta']);
    expect(await bench.rollout(failed.id)).toMatchObject({
      state: 'failed',
      reason: 'alpha: 1.0.52 was rolled back (crash-loop)',
    });
    // A pause by a person is no reason for it.
    await fleet.offered('beta');
    await fleet.report('beta', '1.0.52');
    await fleet.change(newest.id, 'resume');
    await fleet.change(newest.id, 'pause', 'for lunch');
    const last = await bench.rollOut('1.0.52', ['alpha']);
    expect(await bench.rollout(newest.id)).toMatchObject({ state: 'failed', reason: 'for lunch; it failed on beta' });
    await fleet.change(last.id, 'cancel');
    expect(await fleet.reasons('beta')).toEqual(['no rollout is under way']);
  });

  it('can be made by a person, once and for all', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    expect((await fleet.change(id, 'cancel', 'wrong release')).status).toBe(200);
    expect((await fleet.change(id, 'cancel')).status).toBe(200);
    expect(await bench.rollout(id)).toMatchObject({ state: 'cancelled', reason: 'wrong release' });
    expect(await fleet.offered('alpha')).toBeNull();
    for (const verb of ['pause', 'resume']) expect((await fleet.change(id, verb)).status).toBe(409);
    // A late report changes nothing of it.
    await fleet.report('alpha', '1.0.52');
    expect((await bench.rollout(id)).state).toBe('cancelled');
  });

  it('is a failure when its release is withdrawn', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await revokeRelease(await bench.repository(), 'app', '1.0.52');
    await bench.publish('1.0.53');
    expect(await bench.rollout(id)).toMatchObject({ state: 'failed', reason: 'the release was withdrawn' });
    expect(await fleet.reasons('alpha')).toEqual(['app 1.0.52 was withdrawn']);
  });

  it('does not wait for an appliance on which it failed, when a person lets it go on', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta', 'gamma'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    await fleet.runs('beta', '1.0.52');
    await fleet.offered('alpha');
    await fleet.report('alpha', '1.0.52');
    await fleet.change(id, 'resume');
    expect((await bench.rollout(id)).state).toBe('running');
    await fleet.runs('gamma', '1.0.52');
    expect(await bench.rollout(id)).toMatchObject({
      state: 'finished',
      sentence: '2 of 3 appliances have proven it, and it failed on 1 (alpha).',
      failed: [{ name: 'alpha' }],
    });
  });
});

describe('cancelling', () => {
  it('tells what an appliance may still get', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    const older = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.change(older.id, 'pause', 'for lunch');
    const newer = await bench.rollOut('1.0.53', ['beta']);
    const { printed } = await commanded(fleet, ['rollout', 'cancel']);
    expect(printed).toEqual([
      `Rollout ${newer.id} of app 1.0.53, stage canary: Cancelled: by an operator. 0 of 2 appliances have proven it.\nStill there: rollout ${older.id} of app 1.0.52, paused. To end it too: holdfast rollout cancel ${older.id}`,
    ]);
    expect((await commanded(fleet, ['rollout', 'cancel'])).printed).toEqual([
      expect.stringContaining('\nIt was cancelled before; nothing was changed.\nStill there:'),
    ]);
    const { body } = await fleet.change(newer.id, 'cancel');
    expect(body).toMatchObject({ already: true, stands: [{ id: older.id, version: '1.0.52', state: 'paused' }] });
  });
});

describe('pausing', () => {
  it('keeps why it stopped first, and adds what came later', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.offered('alpha');
    await fleet.report('alpha', '1.0.52');
    await fleet.change(id, 'pause', 'looking into it');
    const view = await bench.rollout(id);
    expect(view).toMatchObject({ state: 'paused', reason: 'alpha: 1.0.52 was rolled back (crash-loop)' });
    expect(view.changes.map(({ state, reason }) => [state, reason])).toEqual([
      ['paused', 'alpha: 1.0.52 was rolled back (crash-loop)'],
      ['paused', 'looking into it'],
    ]);
    await fleet.change(id, 'resume');
    expect((await bench.rollout(id)).changes.at(-1)).toMatchObject({ state: 'running', reason: '' });
  });
});

describe('holdfast rollout watch', () => {
  const watched = (fleet: Awaited<ReturnType<typeof rolloutFleet>>, step: () => Promise<unknown>) =>
    commanded(fleet, ['rollout', 'watch'], step);

  it('ends well when it is finished', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    await bench.rollOut('1.0.52', ['alpha']);
    const { printed, end } = await watched(fleet, () => fleet.runs('alpha', '1.0.52'));
    expect(end).toBe('finished');
    expect(printed.at(-1)).toBe('Rollout 1 of app 1.0.52, finished, stage done: 1 of 1 appliance has proven it.');
  });

  it.each([
    ['pause', 'rollout-paused', 'holdfast rollout resume, or a newer release'],
    ['cancel', 'rollout-cancelled', 'holdfast rollout start VERSION starts another one'],
  ])('fails with the reason and the next step after %s', async (verb, code, next) => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    const { printed, end } = await watched(fleet, () => fleet.change(id, verb, 'not today'));
    expect(printed.at(-1)).toContain('not today');
    const state = code.replace('rollout-', '');
    expect(end).toMatchObject({ code, message: `rollout ${id} of app 1.0.52 is ${state}`, next });
    // Neither the state nor the reason is said twice.
    expect(printed.at(-1)?.toLowerCase().split(state)).toHaveLength(2);
  });

  it('names the try again on the appliance where its canary failed, and so does what it waits for after that', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.offered('alpha');
    const { end } = await watched(fleet, () => fleet.report('alpha', '1.0.52'));
    expect(end).toMatchObject({
      code: 'rollout-paused',
      next: 'holdfast-updater retry 1.0.52 on alpha lets it be tried there again, then holdfast rollout resume; or a newer release',
    });
    await fleet.change(id, 'resume');
    expect((await bench.rollout(id)).sentence).toContain(
      'it failed on its canary alpha; to try it there again: holdfast-updater retry VERSION on it; on another: holdfast rollout start',
    );
    // The appliance takes it again, and proves it: nothing else is needed.
    expect(await fleet.offered('alpha', { quarantine: [] })).toBe('1.0.52');
    await fleet.runs('alpha', '1.0.52');
    expect((await bench.rollout(id)).state).toBe('finished');
  });
});
