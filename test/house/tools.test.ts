import { copyFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { checkoutRoot, readPackage } from './checkout.ts';
import { plantTree } from './plant.ts';

const planted = { name: 'planted', private: true, type: 'module' };

/** Runs one part of `npm run check`, as package.json writes it, on a planted tree with the checkout's settings. */
async function check(part: string, files: Readonly<Record<string, string>>) {
  const root = plantTree({
    'package.json': `${JSON.stringify(planted, null, 2)}
`,
    ...files,
  });
  for (const name of ['tsconfig.json', 'biome.json', 'knip.json']) {
    copyFileSync(join(checkoutRoot, name), join(root, name));
  }
  symlinkSync(join(checkoutRoot, 'node_modules'), join(root, 'node_modules'));
  const command = readPackage()
    .scripts['check:source']?.split(' && ')
    .find((candidate) => candidate.split(' ')[0] === part);
  const [program = '', ...args] = command?.split(' ') ?? [];
  return await execa(join(checkoutRoot, 'node_modules', '.bin', program), args, {
    cwd: root,
    reject: false,
    all: true,
  });
}

const sound = {
  'agent/main.ts': "import { two } from './two.ts';\n\nprocess.stdout.write(String(two()));\n",
  'agent/two.ts': 'export function two(): number {\n  return 2;\n}\n',
};
const unsound = (text: string): typeof sound => ({ ...sound, 'agent/two.ts': text });

describe('npm run check', () => {
  it.each(['tsc', 'biome', 'knip'])('runs %s, which passes what is sound', async (part) => {
    const result = await check(part, sound);
    expect(result.all).not.toMatch(/error|unused/i);
    expect(result.exitCode).toBe(0);
  });

  it.each([
    ['tsc', 'a wrong type', 'export function two(): number {\n  return "2";\n}\n', 'TS2322'],
    ['tsc', 'an index that may miss', 'export const two = (): number => [2][0];\n', 'TS2322'],
    ['tsc', 'an enum', 'enum A {\n  b = 2,\n}\nexport const two = (): number => A.b;\n', 'TS1294'],
    [
      'biome',
      'a floating promise',
      'export function two(): number {\n  Promise.resolve();\n  return 2;\n}\n',
      'noFloatingPromises',
    ],
    ['biome', 'an any', 'export function two(a?: any): number {\n  return a ?? 2;\n}\n', 'noExplicitAny'],
    ['biome', 'odd formatting', 'export  function two(): number { return 2 }\n', 'format'],
    ['knip', 'an unused export', `${sound['agent/two.ts']}export const three = 3;\n`, 'three'],
  ])('fails by %s on %s', async (part, _, text, named) => {
    const result = await check(part, unsound(text));
    expect(result.all).toContain(named);
    expect(result.exitCode).not.toBe(0);
  });

  it('fails by knip on a file that nobody imports', async () => {
    const result = await check('knip', { ...sound, 'agent/three.ts': 'void 0;\n' });
    expect(result.all).toContain('agent/three.ts');
    expect(result.exitCode).not.toBe(0);
  });
});
