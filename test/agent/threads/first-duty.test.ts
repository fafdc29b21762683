import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { checkoutRoot } from '../../house/checkout.ts';
import { keepsPromise, promisedSteps } from '../../house/readme.ts';
import { until } from '../agent-process.ts';

const work = mkdtempSync(join(tmpdir(), 'hf-first-'));
afterAll(() => rmSync(work, { recursive: true }));

const readme = readFileSync(join(checkoutRoot, 'README.md'), 'utf8');
const heading = 'Your own work';

it('README’s first duty runs as it stands there, and says what README promises', async () => {
  const chapter = readme.slice(readme.indexOf(`## ${heading}`));
  const source = /```ts\n(.*?)```/s.exec(chapter)?.[1] ?? '';
  const file = join(work, 'my', 'meter', 'index.ts');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source);

  const [step] = promisedSteps(readme, heading);
  // In ten lines: what a person types.
  expect(source.trim().split('\n').length + 1).toBeLessThanOrEqual(10);
  const words = (step?.words ?? []).map((word) => (word.startsWith('my/') ? join(work, word) : word));
  const [program = '', ...args] = words;
  // A group of its own, as a terminal's Ctrl-C reaches it.
  const child = spawn(program, args, { cwd: checkoutRoot, detached: true });
  let text = '';
  let code: number | null | undefined;
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  child.on('close', (ended) => {
    code = ended;
  });
  const promise = step?.promise ?? '';
  await until(promise, () => text.split('\n').some((line) => keepsPromise(promise, line)) || code !== undefined);
  expect([promise === '', code, text]).toEqual([false, undefined, expect.stringContaining('an agent runs in')]);
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
  await until('its end', () => code !== undefined);
  expect(text).toContain('the agent stops');
});
