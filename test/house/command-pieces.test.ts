import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkoutRoot } from './checkout.ts';

/** A checkout with one small program, and the commands' own way to start it. */
function smallCheckout() {
  const root = mkdtempSync(join(tmpdir(), 'hf-pieces-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'node_modules'));
  for (const name of ['esbuild', 'node'])
    symlinkSync(join(checkoutRoot, 'node_modules', name), join(root, 'node_modules', name));
  cpSync(join(checkoutRoot, 'bin'), join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{}');
  mkdirSync(join(root, 'tool'));
  writeFileSync(join(root, 'tool', 'words.ts'), "export const words: string = 'first';\n");
  const main =
    "import { words } from './words.ts';\nconsole.log(words, import.meta.dirname, process.argv.slice(2).join());\n";
  writeFileSync(join(root, 'tool', 'main.ts'), main);
  const start = "import { runOnPinnedNode } from './pinned-node.js';\nawait runOnPinnedNode('tool/main.ts');\n";
  writeFileSync(join(root, 'bin', 'tool.js'), start);
  const cache = join(root, 'node_modules', '.cache', 'commands');
  return {
    root,
    cache,
    /** The piece that the next start loads; null: none. */
    piece: () => {
      const list = join(cache, 'tool-main-ts.json');
      return existsSync(list) ? String(JSON.parse(readFileSync(list, 'utf8')).directory) : null;
    },
    run: () => execa(process.execPath, [join(root, 'bin', 'tool.js'), 'a', 'b'], { reject: false }),
  };
}

describe('a command in one piece', () => {
  it('does what its sources do, and is made once', async () => {
    const { root, piece, cache, run } = smallCheckout();
    expect((await run()).stdout).toBe(`first ${join(root, 'tool')} a,b`);
    const before = piece();
    expect(before).not.toBeNull();
    expect((await run()).stdout).toBe(`first ${join(root, 'tool')} a,b`);
    expect([piece(), readdirSync(cache).length]).toEqual([before, 2]);
  });

  it('is made again when a source or the packages have changed', async () => {
    const { root, piece, run } = smallCheckout();
    await run();
    writeFileSync(join(root, 'tool', 'words.ts'), "export const words: string = 'second, and longer';\n");
    expect((await run()).stdout).toMatch(/^second, and longer /);
    await run();
    const before = piece();
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{ "changed": true }');
    expect((await run()).exitCode).toBe(0);
    expect(piece()).not.toBe(before);
  });

  it('gives way to sources that cannot be built, which say what is wrong with them', async () => {
    const { root, piece, run } = smallCheckout();
    await run();
    writeFileSync(join(root, 'tool', 'words.ts'), 'export const words: string = ;\n');
    const { exitCode, stderr } = await run();
    expect(exitCode).toBe(1);
    expect(stderr).toContain('words.ts');
    writeFileSync(join(root, 'tool', 'words.ts'), "export const words: string = 'mended';\n");
    const before = piece();
    expect((await run()).stdout).toMatch(/^mended /);
    expect(piece()).not.toBe(before);
  });

  it('gives way to the sources where it cannot be kept', async () => {
    const { root, run } = smallCheckout();
    writeFileSync(join(root, 'node_modules', '.cache'), 'a file');
    expect((await run()).stdout).toBe(`first ${join(root, 'tool')} a,b`);
  });

  it('is whole, however many make it at once', async () => {
    const { root, piece, cache, run } = smallCheckout();
    const runs = await Promise.all([run(), run(), run(), run()]);
    for (const { stdout, stderr } of runs) expect([stdout, stderr]).toEqual([`first ${join(root, 'tool')} a,b`, '']);
    expect(readdirSync(cache)).toContain(piece());
    expect((await run()).exitCode).toBe(0);
  });

  it('is removed once it is old', async () => {
    const { root, piece, cache, run } = smallCheckout();
    await run();
    const first = piece() ?? '';
    const yesterdayS = Date.now() / 1000 - 86_400;
    utimesSync(join(cache, first), yesterdayS, yesterdayS);
    writeFileSync(join(root, 'tool', 'words.ts'), "export const words: string = 'second, and longer';\n");
    await run();
    expect(readdirSync(cache)).not.toContain(first);
  });
});
