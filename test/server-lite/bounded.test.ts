import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onceAnHour } from '../../server-lite/machine/once-an-hour.ts';
import { TestServer } from '../support/test-server.ts';

describe('the signed snapshots', () => {
  it('are kept in a bounded number, the newest, with the one that is named', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const metadata = join(bench.data, 'releases', 'metadata');
    const versions = () =>
      readdirSync(metadata)
        .flatMap((name) => /^(\d+)\.snapshot\.json$/.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => b - a);
    const named = Math.max(...versions());
    for (let i = 1; i <= 700; i += 1) writeFileSync(join(metadata, `${named + 1_000 + i}.snapshot.json`), '{}');
    await bench.publish('1.0.52');
    // What lies there under higher numbers is not what the timestamp names.
    expect(versions()).toHaveLength(501);
    expect(versions().at(-1)).toBe(named + 1);
    expect((await bench.appliance('alpha')).id).toMatch(/^hf-/);
  });
});

describe('what a sender can make as many lines of as it likes', () => {
  it('is due once an hour, of each by itself, also when the clock was put back', () => {
    const hourly = onceAnHour();
    expect([0, 1, 3_599_999, 3_600_000, 3_600_001].map((ms) => hourly.isDue('a', ms))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect([hourly.isDue('b', 3_600_001), hourly.isDue('a', 5)]).toEqual([true, true]);
  });
});

describe('a server whose database is gone', () => {
  it('begins an empty one beside its keys, and says so to operators and in its log', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    await bench.stop();
    for (const name of readdirSync(bench.data)) if (name.startsWith('server.db')) rmSync(join(bench.data, name));
    await bench.run();
    const { body } = await bench.api('GET', '/api/server');
    expect(JSON.stringify(body)).toContain('server.db was missing or empty beside the keys of this server');
    expect(bench.log.join('')).toContain('server.db was missing or empty');
  });

  it('says nothing of the kind where it is new', async () => {
    await using bench = await TestServer.start();
    expect(JSON.stringify((await bench.api('GET', '/api/server')).body)).not.toContain('was not there');
  });
});
