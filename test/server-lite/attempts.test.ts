import { describe, expect, it } from 'vitest';
import { rolloutFleet, works } from '../support/rollout-fleet.ts';
import { openServerDatabase } from '../support/server-database.ts';

describe('what an appliance has proven', () => {
  it('is not said of a release that failed there, whatever comes after it', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta', 'gamma', 'delta'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    const first = await bench.rollOut('1.0.52', ['alpha', 'beta', 'gamma']);
    for (const name of ['alpha', 'beta', 'gamma']) expect(await fleet.offered(name)).toBe('1.0.52');
    for (const name of ['alpha', 'beta', 'gamma']) await fleet.report(name, '1.0.52');
    await bench.rollOut('1.0.53', ['alpha', 'beta', 'gamma']);
    for (const name of ['alpha', 'beta', 'gamma']) await fleet.runs(name, '1.0.53');
    const view = await bench.rollout(first.id);
    expect(view).toMatchObject({
      state: 'failed',
      proven: [],
      reason: expect.stringMatching(/^alpha: 1\.0\.52 was rolled/),
    });
    expect(view.failed.map(({ name, why }) => [name, why])).toEqual(
      ['alpha', 'beta', 'gamma'].map((name) => [name, '1.0.52 was rolled back (crash-loop)']),
    );
    expect(view.sentence).toContain('0 of 4 appliances have proven it, and it failed on 3');
    expect(await fleet.offered('delta')).toBe('1.0.53');
  });

  it('is never a release that is older than what it has: that canary opens no stage, and is named', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52', '1.0.60']);
    await using bench = fleet.bench;
    await fleet.runs('beta', '1.0.60');
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    await fleet.runs('beta', '1.0.60');
    const [reason] = await fleet.reasons('alpha');
    expect(reason).toBe(
      'app 1.0.52 waits: its canary beta has a newer one, and cannot prove it; holdfast rollout start 1.0.52 --canary APPLIANCE',
    );
    expect(await fleet.offered('alpha')).toBeNull();
    const view = await bench.rollout(id);
    expect(view).toMatchObject({ state: 'running', stage: 'canary', proven: [], failed: [] });
    expect(view.waiting).toContainEqual({ name: 'beta', why: 'it has a newer one' });
    // Whoever leaves the choice to the server is given one that can prove it.
    expect((await bench.rollOut('1.0.52')).canaries).toEqual(['alpha']);
  });

  it('is not another release of the same number', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    await bench.rollOut('1.0.52', ['beta']);
    fleet.get('beta').have = { app: { version: '1.0.52', slot: '1', manifest: 'f'.repeat(64) } };
    for (let i = 0; i < 3; i += 1) await works(fleet.get('beta'));
    expect(await fleet.offered('alpha')).toBeNull();
  });

  it('stays proven when the canary goes elsewhere, is retired, or tries a newer one', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta', 'gamma'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    await fleet.runs('beta', '1.0.52');
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    await bench.api('POST', '/api/appliances/beta/assign', { version: '1.0.53' });
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    await fleet.runs('beta', '1.0.53');
    await fleet.get('beta').checkIn('updater', { health: { status: 'unknown', row: 'trial', agentAlive: true } });
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    await bench.api('POST', '/api/appliances/beta/retire', {});
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ stage: 'everyone', proven: ['beta (retired)'] });
  });

  it('fails once more after it was proven, and stops a rollout that was finished', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.offered('alpha');
    await fleet.runs('alpha', '1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ state: 'finished', stage: 'done', proven: ['alpha'] });
    await fleet.report('alpha', '1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', proven: [], failed: [{ name: 'alpha' }] });
    using server = openServerDatabase(bench.data);
    expect(server.db.prepare('SELECT outcome, proven_at > 0 AS proven FROM attempts').all()).toEqual([
      { outcome: 'failed', proven: 1 },
    ]);
  });
});

describe('an outcome', () => {
  it('stops no rollout where the release was never offered, and is seen by people', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    for (let i = 0; i < 3; i += 1) await fleet.report('beta', '1.0.52', 'bad-chunk', 'release-refused');
    expect(await bench.rollout(id)).toMatchObject({ state: 'running', failed: [] });
    const notes = await fleet.noted('beta', 'outcome-not-offered');
    expect(notes.map(({ text }) => text)).toEqual([
      expect.stringContaining('app 1.0.52, which this server never offered'),
    ]);
  });

  it('counts once for each attempt, and the next offer is another attempt', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    await fleet.offered('alpha');
    await fleet.report('alpha', '1.0.52');
    await fleet.change(id, 'resume');
    await fleet.report('alpha', '1.0.52');
    expect((await bench.rollout(id)).state).toBe('running');
    // A person cleared the quarantine: it is tried once more.
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    await fleet.report('alpha', '1.0.52', 'stalled');
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', reason: expect.stringContaining('(stalled)') });
  });

  it('keeps the first attempt and the newest ones, however often it is tried', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    for (let i = 0; i < 20; i += 1) {
      await fleet.offered('alpha');
      await fleet.report('alpha', '1.0.52', `reason-${i}`);
      await fleet.change(id, 'resume');
    }
    using server = openServerDatabase(bench.data);
    const kept = server.db.prepare('SELECT reason FROM attempts ORDER BY serial').all();
    expect(kept.length).toBe(16);
    expect([kept.at(0), kept.at(-1)].map((row) => row?.reason)).toEqual([
      expect.stringContaining('reason-0'),
      expect.stringContaining('reason-19'),
    ]);
  });

  it('of a release that was assigned counts, too: it was offered', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    await bench.api('POST', '/api/appliances/alpha/assign', { version: '1.0.52' });
    expect(await fleet.offered('alpha')).toBe('1.0.52');
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    await fleet.report('alpha', '1.0.52');
    expect((await bench.rollout(id)).state).toBe('paused');
  });

  it('counts without a recorded offer where offers were lost with the database', async () => {
    const fleet = await rolloutFleet(['alpha'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['alpha']);
    using server = openServerDatabase(bench.data);
    server.db.exec('UPDATE rollouts SET offers_known = 0');
    await fleet.report('alpha', '1.0.52');
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', failed: [{ name: 'alpha' }] });
  });
});

describe('a canary that is gone', () => {
  it('is waited for by nobody: the rollout says which one it is, and what to do', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52']);
    await using bench = fleet.bench;
    const { id } = await bench.rollOut('1.0.52', ['beta']);
    await bench.api('POST', '/api/appliances/beta/retire', {});
    const reason =
      'app 1.0.52 waits: its canary beta (retired) is gone; holdfast rollout start 1.0.52 --canary APPLIANCE';
    expect(await fleet.reasons('alpha')).toEqual([reason]);
    expect((await bench.rollout(id)).sentence).toContain('its canary beta (retired) is gone');
  });

  it('to another release is named, with the two ways on', async () => {
    const fleet = await rolloutFleet(['alpha', 'beta'], ['1.0.52', '1.0.53']);
    await using bench = fleet.bench;
    await bench.rollOut('1.0.52', ['beta']);
    await bench.api('POST', '/api/appliances/beta/assign', { version: '1.0.53' });
    expect(await fleet.reasons('alpha')).toEqual([
      'app 1.0.52 waits: its canary beta is assigned another release; holdfast fleet unassign beta, or holdfast rollout start 1.0.52 --canary APPLIANCE',
    ]);
  });
});
