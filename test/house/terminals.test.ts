import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { terminalExceptions, terminalViolations } from './terminals.ts';

const sources = readSources(checkoutRoot);

describe('what is written to a terminal', () => {
  it('is printable', () => {
    expect(terminalViolations(sources, terminalExceptions)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const needed = new Set(terminalViolations(sources, {}).map(({ path }) => path));
    expect(Object.keys(terminalExceptions).filter((path) => !needed.has(path))).toEqual([]);
  });

  it.each([
    ['a text as it is', 'process.stdout.write(text);', 1],
    ['one that is printable only in part', 'process.stderr.write(printable(a) + b);', 1],
    ['one by a computed name', "process['stderr'].write(text);", 1],
    ['what somebody else writes', 'openLog(process.stdout);', 1],
    ['a stream that was taken out of the process', 'const { stdout } = process;\nstdout.write(text);', 1],
    ['the end of it', 'process.stdout.end(printable(text));', 1],
    ['the console', "console.error('x');", 1],
    ['a descriptor', 'writeSync(2, text);', 1],
    ['a device', "createWriteStream('/dev/stderr');", 1],
    ['a log', 'const log = pino({}, pino.destination(1));', 1],
    ['a terminal', 'new WriteStream(openTerminal());', 1],
    ['what a child writes', "spawn(file, { stdio: 'inherit' });", 1],
    ['what a child writes to one of them', "spawn(file, { stdio: ['ignore', 'inherit', 'pipe'] });", 1],
    ["commander's own words", "const program = new Command('x');", 1],
    ['nothing where it is printable', "process.stdout.write(printable(text + '\\n'));", 0],
    ['nothing where it only asks', "spawn(file, { stdio: 'pipe' }); write(3, text);", 0],
  ])('is found to be %s', (_, text, count) => {
    for (const path of ['updater/a.ts', 'image/a.ts', 'bin/a.js', 'test/story/a.ts']) {
      expect(terminalViolations(plantSources({ [path]: text }), {}), path).toHaveLength(count);
    }
  });
});
