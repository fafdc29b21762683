import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emitProgram } from '../../../image/emit.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { checkoutRoot } from '../../house/checkout.ts';
import { TestAppliance, until } from '../agent-process.ts';

/** The maker's module, as a directory of its own with a package of its own. */
const source = `
  import { readFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { defineCheck, defineDuty, defineOrder, defineSecret, defineSetting } from 'holdfast/agent';
  import { z } from 'zod';
  import { unit } from 'meter-units';

  export const tick = defineDuty({
    name: 'tick',
    schedule: { everyMs: 100 },
    result: z.object({ runs: z.number() }),
    run: async ({ store, log }) => {
      const runs = Number((await store.get('runs')) ?? 0) + 1;
      await store.set('runs', runs);
      log.info(\`read \${runs} \${unit}\`);
      return { runs };
    },
  });
  export const stuck = defineDuty({
    name: 'stuck',
    schedule: { everyMs: 100 },
    budget: { timeoutMs: 300, attempts: 1, failures: 2 },
    run: () => {
      for (;;);
    },
  });
  export const step = defineSetting({ name: 'step', shape: z.int().min(1), standard: 1, text: 'Counted at once.' });
  export const place = defineSetting({ name: 'place', shape: z.string(), standard: 'nowhere', text: 'Where it is.' });
  export const count = defineDuty({
    name: 'count',
    schedule: { everyMs: 100 },
    isRecorded: true,
    run: async ({ table, settings, assets }) => {
      const [last] = await table.newest(1);
      const total = Number(last?.row ?? 0) + settings.get(step);
      await table.add(total);
      return { total, place: settings.get(place), label: readFileSync(join(assets, 'label.txt'), 'utf8').trim() };
    },
  });
  export const counted = defineCheck({
    name: 'counted',
    everyMs: 1_000,
    sees: 'count',
    run: async ({ table }) => {
      const rows = await table.count();
      return { status: rows > 0 ? 'ok' : 'warn', sentence: 'The table has rows.', value: rows, unit: 'rows' };
    },
  });
  export const key = defineSecret({ name: 'key', text: 'Opens the collector.' });
  export const reveal = defineOrder({
    name: 'reveal',
    run: async ({ secrets, log }) => {
      const text = await secrets.get(key);
      log.info("the key is " + text);
      return { length: text?.length ?? null };
    },
  });
  export const drop = defineOrder({
    name: 'drop',
    sees: 'count',
    args: z.object({ upTo: z.coerce.number().int() }),
    result: z.object({ left: z.number() }),
    run: async ({ table, args }) => {
      await table.removeUpTo(args.upTo);
      return { left: await table.count() };
    },
  });
  export const nightly = defineDuty({
    name: 'nightly',
    schedule: { calendar: '30 2 * * *', timeZone: 'Europe/Berlin' },
    run: () => undefined,
  });
`;

const work = mkdtempSync(join(tmpdir(), 'hf-maker-'));
afterAll(() => rmSync(work, { recursive: true }));
let number = 0;

/** A maker's directory, and where its release goes. */
function maker(text: string): { makerDir: string; outDir: string } {
  number += 1;
  const makerDir = join(work, `maker-${number}`);
  const units = join(makerDir, 'node_modules', 'meter-units');
  mkdirSync(units, { recursive: true });
  writeFileSync(join(makerDir, 'index.ts'), text);
  writeFileSync(join(units, 'package.json'), JSON.stringify({ name: 'meter-units', version: '3.2.1', type: 'module' }));
  mkdirSync(join(makerDir, 'assets'));
  writeFileSync(join(makerDir, 'assets', 'label.txt'), 'ท่าเรือ\n');
  writeFileSync(join(units, 'index.js'), "export const unit = 'kWh';\n");
  return { makerDir, outDir: join(work, `out-${number}`) };
}
const release = {
  component: 'app',
  version: '1.0.0',
  commit: 'test',
  sourceDir: checkoutRoot,
  node: process.execPath,
} as const;

describe('a release with the work of a maker', () => {
  let appliance: TestAppliance;
  beforeEach(async () => {
    appliance = new TestAppliance();
    await appliance.startServer();
  });
  afterEach(() => appliance.end());

  it('does that work in threads of its own: one that blocks delays neither another one nor the agent', async () => {
    const directories = maker(source);
    await emitProgram({ ...release, ...directories });
    const bill = readFileSync(join(directories.outDir, 'sbom.json'), 'utf8');
    expect(bill).toContain('meter-units@3.2.1');
    const run = appliance.run(join(directories.outDir, 'main.js'));
    await until('the duty that works', () => run.stdout.includes('read 3 kWh'));
    const health = await until('a breaker that is open', async () => {
      const answer = await appliance.healthy();
      return answer.checks.duties === 'warn' ? answer : null;
    });
    expect(health.checks.readings).toBe('ok');
    await until('readings at the server', () => appliance.server.contiguous() >= 3);
    expect(run.stdout).toMatch(/"duty":"stuck","code":"timed-out"/);
    run.kill('SIGTERM');
    expect(await run.exit()).toMatchObject({ code: 0 });

    const again = appliance.run(join(directories.outDir, 'main.js'));
    await until('what the duty kept', () => /read ([4-9]|\d\d+) kWh/.test(again.stdout));
    // The breaker is still open.
    expect((await appliance.healthy()).checks.duties).toBe('warn');
    expect(again.stdout).not.toContain('"duty":"stuck"');
  });
});

describe('a check, an order, settings, rows, records and assets of a maker', () => {
  let appliance: TestAppliance;
  beforeEach(async () => {
    appliance = new TestAppliance();
    await appliance.startServer();
    appliance.settings({ intervalMs: 50, maker: { step: 5, place: 7, key: 'site-key' } });
    mkdirSync(join(appliance.layout.agent, 'secrets'));
    writeFileSync(join(appliance.layout.agent, 'secrets', 'site-key'), 'hunter2-hunter2\n', { mode: 0o600 });
  });
  afterEach(() => appliance.end());

  const ended = (id: string) =>
    until(`the end of ${id}`, () => {
      const end = appliance.server.orderEnd(id);
      return ['acknowledged', 'running', undefined].includes(end?.state as string | undefined) ? null : end;
    });
  async function orderEnd(kind: string, args: Record<string, string>) {
    const id = randomUUID();
    appliance.server.order({ version: 1, id, appliance: appliance.id, kind, expiresAtS: 1_800_000_000, args });
    return await ended(id);
  }

  it('do what the maker wrote, with what the site chose', async () => {
    const directories = maker(source);
    await emitProgram({ ...release, ...directories });
    const run = appliance.run(join(directories.outDir, 'main.js'));
    const health = await until('the check', async () => {
      const answer = await appliance.healthy();
      return answer.checks.counted === 'ok' ? answer : null;
    });
    // A setting that does not fit is said, and its standard holds.
    expect(health.checks.settings).toBe('warn');
    expect(health.notes).toEqual(['maker.place: it must be a text, and is a number; "nowhere" holds']);
    expect(run.stdout).toContain('maker.place: it must be a text, and is a number; \\"nowhere\\" holds');
    const duty = await until('the line of the duty', async () =>
      (await appliance.health())?.duties?.find(({ name, last }) => name === 'count' && last !== null),
    );
    expect(duty.last).toMatchObject({ outcome: 'done', text: expect.stringContaining('"label":"ท่าเรือ"') });
    expect(duty.last?.text).toMatch(/"total":\d*[05],"place":"nowhere"/);

    const records = await until('records at the server', () => {
      const found = appliance.server.records().filter(({ name }) => name.startsWith('count/'));
      return found.length >= 2 ? found : null;
    });
    expect(records.slice(0, 2).map(({ name }) => name)).toEqual(['count/1', 'count/2']);
    const first = '{"label":"ท่าเรือ","place":"nowhere","total":5}';
    expect(records[0]?.sha256).toBe(sha256(first));

    expect(await orderEnd('run-checks', {})).toMatchObject({
      result: expect.stringContaining('The table has rows. ('),
    });
    expect(await orderEnd('run-order', { order: 'drop', upTo: '1' })).toMatchObject({
      state: 'succeeded',
      result: expect.stringMatching(/^{"order":"drop","result":{"left":\d+}}$/),
    });
    expect(await orderEnd('run-order', { order: 'drop', upTo: 'all' })).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/^threw: .*upTo/s),
    });
    expect(await orderEnd('run-order', { order: 'reveal' })).toMatchObject({
      result: '{"order":"reveal","result":{"length":15}}',
    });
    await until('the line about the key', () => run.stdout.includes('the key is [redacted]'));
    expect(run.stdout).not.toContain('hunter2');
    expect(await orderEnd('run-order', { order: 'lift' })).toMatchObject({
      state: 'failed',
      error: 'there is no order lift; there are: drop, reveal',
    });
  });
});

describe('a directory that is no work of a maker', () => {
  it.each<[string, string, RegExp]>([
    ['has a wrong name for a duty', source.replace("'tick'", "'Tick Tock'"), /duty Tick Tock: name: lower-case words/],
    ['has a calendar that nobody can follow', source.replace('30 2 * * *', '61 2 * * *'), /duty nightly: .*minute/],
    ['takes the name of a duty of the agent', source.replace("'tick'", "'readings'"), /a duty or a check of the agent/],
    ['names two duties alike', source.replace("'stuck'", "'tick'"), /two are named tick/],
    ['imports what is not there', source.replace('meter-units', 'meter-unknown'), /meter-unknown/],
    ['is no TypeScript', 'export const = 5;', /index\.ts/],
    ['throws as it is loaded', `${source}\nthrow new Error('no meter here');`, /no meter here/],
    ['reaches into the agent', "export { runAgent } from 'holdfast/agent/agent.ts';", /holdfast\/agent\/agent\.ts/],
  ])('because it %s is refused at the build', async (_, text, words) => {
    const input = { ...release, ...maker(text) };
    await expect(emitProgram(input)).rejects.toMatchObject({
      code: 'maker-invalid',
      message: expect.stringMatching(words),
      next: expect.stringContaining('--with'),
    });
  });

  it('because it is empty is refused at the build', async () => {
    const { makerDir, outDir } = maker('');
    rmSync(join(makerDir, 'index.ts'));
    await expect(emitProgram({ ...release, makerDir, outDir })).rejects.toMatchObject({
      code: 'maker-invalid',
      message: expect.stringContaining('has none of index.ts, index.js'),
    });
  });
});
