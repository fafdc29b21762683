import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const nobody = 65_534;
const main = join(checkout, 'updater', 'main.ts');

let layout: Layout;
let own = '';
beforeEach(() => {
  layout = temporaryAppliance();
  chmodSync(layout.root, 0o755);
  chmodSync(layout.updater, 0o700);
  mkdirSync(layout.requests);
  own = mkdtempSync(join(tmpdir(), 'hf-nobody-'));
  onTestFinished(() => rmSync(own, { recursive: true, force: true }));
  chownSync(own, nobody, nobody);
  writeFileSync(join(own, 'sources.json'), '{"releases":[]}');
});

/** The real program as a user who owns nothing here. */
function asNobody(...words: string[]) {
  const identity = { uid: nobody, gid: nobody, env: { HOME: own }, cwd: own, reject: false } as const;
  return execa(nodeBinary, [main, ...words, '--root', layout.root, '--json'], identity);
}

describe('as another user', () => {
  it.each([
    ['setup', '--claim', 'hfc1.x'],
    ['run'],
    ['install', '/tmp/app-1.0.0.hfb'],
    ['rollback'],
    ['rollback', '--data-age', '5d'],
    ['retry'],
    ['check'],
    ['reset', 'counter'],
    ['plan'],
    ['plan', '--rollback'],
    ['put-aside'],
    ['put-aside', '1', 'somewhere'],
    ['sources', 'sources.json'],
  ])('%s %s asks for root', async (...words) => {
    const { exitCode, stdout, stderr } = await asNobody(...words);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'not-allowed', next: expect.stringContaining('root') });
  });

  it.each([['status'], ['why'], ['history'], ['sources']])(
    '%s shows what may be seen, or says why not',
    async (word) => {
      const { exitCode, stderr } = await asNobody(word);
      expect(exitCode).toBeLessThan(2);
      if (stderr !== '')
        expect(JSON.parse(stderr)).toMatchObject({ code: expect.any(String), next: expect.any(String) });
    },
  );

  it('says the same where even the data partition may not be looked at', async () => {
    chmodSync(layout.root, 0o700);
    for (const word of ['status', 'rollback', 'run', 'history', 'plan', 'setup']) {
      const { exitCode, stderr } = await asNobody(word, ...(word === 'setup' ? ['--claim', 'hfc1.x'] : []));
      expect([word, exitCode]).toEqual([word, 1]);
      expect(JSON.parse(stderr)).toMatchObject({ code: 'not-allowed' });
    }
  });

  it('is told which file is closed, and not which call was refused', async () => {
    for (const { code, message } of [JSON.parse((await asNobody('history')).stderr)]) {
      expect([code, message]).toEqual(['not-allowed', expect.stringMatching(/history\.jsonl is closed to this user$/)]);
    }
  });

  it('the owner of a data partition of their own needs no root', async () => {
    for (const path of [layout.root, layout.updater, layout.run, layout.requests]) chownSync(path, nobody, nobody);
    const { exitCode, stdout, stderr } = await asNobody('put-aside');
    expect([exitCode, stdout, stderr]).toEqual([0, '', '']);
  });
});
