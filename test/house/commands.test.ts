import { readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../image/fixture-tree.ts';
import { readStoryNote, removeStoryNote, writeStoryNote } from '../story/story-note.ts';
import { checkoutRoot, readPackage } from './checkout.ts';
import { filesBelow } from './source.ts';

const { bin } = readPackage();
const modules = join(checkoutRoot, 'node_modules');

/** The machine's own Node, of whatever age, as a person has it who starts a command without npx. */
function startPlainly(name: string, words: readonly string[]) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !resolve(entry).startsWith(modules));
  const env = { PATH: path.join(delimiter) };
  return execa('node', [join(checkoutRoot, bin[name] ?? ''), ...words], {
    cwd: checkoutRoot,
    reject: false,
    extendEnv: false,
    env,
  });
}

describe('each command that package.json names', () => {
  it.each(Object.keys(bin))('%s runs on the pinned Node, whichever the machine has', async (name) => {
    const shown = await startPlainly(name, ['--help']);
    expect([shown.exitCode, shown.stderr]).toEqual([0, '']);
    expect(shown.stdout).toContain(name);
    const wrong = await startPlainly(name, ['no-such-command']);
    expect(wrong.exitCode).toBeGreaterThan(0);
    expect(wrong.stderr).not.toMatch(/^\s+at /m);
  });

  it('holdfast-updater page is the field page by itself, with its own options', async () => {
    const shown = await startPlainly('holdfast-updater', ['page', '--help']);
    expect([shown.exitCode, shown.stderr]).toEqual([0, '']);
    expect(shown.stdout).toContain('--password-file FILE');
    expect((await startPlainly('holdfast-updater', ['page', '--nonsense'])).exitCode).toBe(2);
  });

  it('holdfast demo break says what is missing, without a stack', async () => {
    const program = join(checkoutRoot, 'test', 'story', 'demo-break.ts');
    const failed = await execa(process.execPath, [program, '/nowhere/story.json'], { reject: false });
    expect([failed.exitCode, failed.stderr]).toEqual([1, 'no story is up: run npm start first']);
  });

  it('holdfast demo break waits until the story has been told', async () => {
    await using place = await temporaryDirectory();
    const note = join(place.path, 'story.json');
    writeStoryNote(note, { dir: place.path, command: 'npx holdfast --profile story', isTold: false });
    const program = join(checkoutRoot, 'test', 'story', 'demo-break.ts');
    const early = await execa(process.execPath, [program, note], { reject: false });
    expect([early.exitCode, early.stdout]).toEqual([1, '']);
    expect(early.stderr).toMatch(/^the story is still being told, .*\nNext: wait for its last line/);
    removeStoryNote(note, { dir: 'another story', command: '', isTold: true });
    expect(readStoryNote(note)?.isTold).toBe(false);
    removeStoryNote(note, { dir: place.path, command: '', isTold: true });
    expect(readStoryNote(note)).toBeNull();
  });
});

describe('each program that ends cleanly on SIGTERM', () => {
  it('also knows what to do when its terminal goes away (SIGHUP)', () => {
    const programs = filesBelow(checkoutRoot, (path) => /\.(ts|js)$/.test(path) && !path.endsWith('.test.ts'));
    const handles = programs.map((path) => ({ path, text: readFileSync(join(checkoutRoot, path), 'utf8') }));
    const asked = handles.filter(({ text }) => /process\.(on|once)\(/.test(text) && text.includes("'SIGTERM'"));
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.filter(({ text }) => !text.includes("'SIGHUP'")).map(({ path }) => path)).toEqual([]);
  });
});
