import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../../agent/agent-process.ts';
import { checkoutRoot } from '../../house/checkout.ts';

const work = mkdtempSync(join(tmpdir(), 'hf-hand-'));
afterAll(() => rmSync(work, { recursive: true }));

function started(...options: readonly string[]) {
  const program = join(checkoutRoot, 'image', 'development', 'agent', 'main.ts');
  const temporary = join(work, 'tmp');
  mkdirSync(temporary, { recursive: true });
  const child = spawn(process.execPath, [program, ...options], { env: { ...process.env, TMPDIR: temporary } });
  const run = { text: '', code: undefined as number | null | undefined, child, temporary };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      run.text += chunk;
    });
  }
  child.on('close', (code) => {
    run.code = code;
  });
  return run;
}

describe('npm run agent', () => {
  it('runs one agent with the work of a maker, and says in plain text what its duties do, until Ctrl-C', async () => {
    const makerDir = join(work, 'maker');
    mkdirSync(makerDir);
    writeFileSync(
      join(makerDir, 'index.ts'),
      `import { defineDuty } from 'holdfast/agent';
       const schedule = { everyMs: 200 };
       export const meter = defineDuty({ name: 'meter', schedule, run: ({ log }) => { log.info('it says 7'); return { kWh: 7 }; } });
       const budget = { attempts: 1, failures: 2 };
       export const pump = defineDuty({ name: 'pump', schedule, budget, run: () => { throw new Error('no pump'); } });`,
    );
    const root = join(work, 'data');
    const run = started('--root', root, '--with', makerDir);
    const says = (words: RegExp) => until(String(words), () => words.test(run.text) || run.code !== undefined);
    await says(/^ {2}meter: it says 7$/m);
    await says(/^- duty meter: ran for \d+ ms, result {"kWh":7}; next in \d\.\d s$/m);
    await says(/^! pump: a duty failed: Error: no pump$/m);
    await says(/^- duty pump: failed 2 times in a row: threw: Error: no pump; left alone for now, next in \d+ s$/m);
    await says(/^- check duties: warn$/m);
    expect(run.text).toMatch(/^- check readings: ok$/m);

    const second = started('--root', root);
    await until('the second one ends', () => second.code !== undefined);
    expect([second.code, second.text]).toEqual([1, expect.stringMatching(/runs in .* already \(appliance-runs\)/)]);

    run.child.kill('SIGINT');
    await until('its end', () => run.code !== undefined);
    expect([run.code, run.text]).toEqual([0, expect.stringMatching(/the agent stops\n$/)]);
    expect(readdirSync(run.temporary)).toEqual([]);
  });

  it('leaves the data of a whole appliance alone', async () => {
    const root = join(work, 'whole');
    mkdirSync(join(root, 'updater'), { recursive: true });
    const run = started('--root', root);
    await until('its end', () => run.code !== undefined);
    expect([run.code, run.text]).toEqual([
      1,
      expect.stringMatching(/whole appliance \(directory-unusable\)\nwhat to do: /),
    ]);
    expect(readdirSync(root)).toEqual(['updater']);
  });
});
