import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { restoreSnapshot } from '../../../updater/agent-data/restore.ts';
import { putAsideDirectory } from '../../../updater/agent-data/snapshot.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { putAside } from '../../../updater/outcome/kept-trials.ts';
import { copyPutAside, putAsideOf } from '../../../updater/outcome/put-aside-files.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { digestsIn, RewrittenAppliance, switched } from '../support/rewritten-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

/** Data that was put aside for older data, as the steps of a return leave it. */
let scene: RewrittenAppliance;
let layout: Layout;
let target: string;
beforeEach(() => {
  scene = new RewrittenAppliance();
  ({ layout } = scene);
  target = join(layout.root, 'taken-out');
});

function goBack(): void {
  restoreSnapshot(realFiles, layout, switched, null, true);
  putAside(realFiles, layout, switched);
}

/** The real program, by itself. */
function command(...words: string[]) {
  const program = [join(checkout, 'updater', 'main.ts'), 'put-aside', ...words, '--root', layout.root];
  return execa(nodeBinary, program, { reject: false });
}

describe('data that was put aside', () => {
  it('is listed, and copied byte for byte into a directory of a person; what is kept stays', async () => {
    expect((await command()).stdout).toBe('nothing is put aside');
    goBack();
    const kept = putAsideDirectory(layout, switched);
    const { stdout } = await command('--json');
    expect(JSON.parse(stdout)).toMatchObject({ tx: switched, path: kept });
    expect(await command(String(switched), target)).toMatchObject({ exitCode: 0 });
    expect(digestsIn(target)).toEqual(scene.today);
    expect(digestsIn(kept)).toEqual(scene.today);
    expect(statSync(target).mode & 0o777).toBe(0o700);
  });

  it.each<[code: string, prepare: () => void, words: () => string[]]>([
    ['not-put-aside', () => undefined, () => ['99', target]],
    ['directory-taken', () => mkdirSync(join(target, 'in'), { recursive: true }), () => [String(switched), target]],
    ['directory-taken', () => writeFileSync(target, ''), () => [String(switched), target]],
    ['copy-failed', () => undefined, () => [String(switched), join(target, 'below', 'what is not there')]],
  ])('is not copied where %s is said, with a next step', async (code, prepare, words) => {
    goBack();
    prepare();
    const { exitCode, stderr } = await command(...words(), '--json');
    expect([exitCode, JSON.parse(stderr)]).toEqual([
      1,
      { code, message: expect.any(String), next: expect.any(String) },
    ]);
    expect(digestsIn(putAsideDirectory(layout, switched))).toEqual(scene.today);
  });

  it('needs both words', async () => {
    expect(await command('7')).toMatchObject({ exitCode: 2 });
  });

  it('is read back, and a copy that a full disk cut short has no name', () => {
    goBack();
    const [kept] = putAsideOf(realFiles, layout);
    if (kept === undefined) expect.unreachable();
    const lying = withOperations({
      write: (handle, bytes, position) => realFiles.write(handle, Buffer.from(bytes).fill('x'), position),
    });
    expect(() => copyPutAside(lying, kept, target)).toThrow(expect.objectContaining({ code: 'copy-differs' }));
    const full = withOperations({
      sync: () => {
        throw systemError('ENOSPC');
      },
    });
    const other = join(layout.root, 'other');
    expect(() => copyPutAside(full, kept, other)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(realFiles.list(other)).toEqual([]);
    expect(readFileSync(join(kept.path, 'agent.json'), 'utf8')).toContain('south');
  });
});
