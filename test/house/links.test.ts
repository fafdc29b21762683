import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { anchorsOf, linkViolations, unlistedPages } from './links.ts';
import { plantTree } from './plant.ts';
import { filesBelow } from './source.ts';

const decisions = 'docs/decisions';

describe('the documents', () => {
  it('link to files and headings that exist, and name source files that exist', () => {
    expect(linkViolations(checkoutRoot)).toEqual([]);
  });

  it('have an index of all decisions', () => {
    expect(unlistedPages(checkoutRoot, decisions)).toEqual([]);
  });

  it('tell of each decision its context, what was decided, and what follows', () => {
    const root = join(checkoutRoot, decisions);
    const records = filesBelow(root, (path) => path !== 'README.md');
    expect(records.length).toBeGreaterThan(0);
    for (const [index, path] of records.entries()) {
      const number = String(index + 1).padStart(4, '0');
      const text = readFileSync(join(root, path), 'utf8');
      expect(path).toMatch(new RegExp(`^${number}-[a-z0-9-]+\\.md$`));
      expect(text, path).toMatch(new RegExp(`^# ${number}\\. \\S`));
      expect(text.match(/^## .*$/gm), path).toEqual(['## Context', '## Decision', '## Consequences']);
      const [, ...parts] = text.split(/^## .*$/m);
      expect(
        parts.map((part) => part.trim()),
        path,
      ).not.toContain('');
    }
  });
});

describe('the rule on links', () => {
  it.each([
    ['a file that does not exist', 'See [a](gone.md).'],
    ['a file outside of the checkout', 'See [a](../package.json).'],
    ['a heading that does not exist', 'See [a](#gone).'],
    ['a heading that does not exist in another file', 'See [a](docs/b.md#gone).'],
    ['a heading of what is no page', 'See [a](docs#b).'],
    ['a second link of a line', 'See [a](docs/b.md) and [b](docs/c.md).'],
    ['a source file that does not exist', 'It is in `updater/gone.ts`.'],
  ])('finds %s', (_, text) => {
    const root = plantTree({ 'a.md': `# A\n\n${text}\n`, 'docs/b.md': '# B\n' });
    expect(linkViolations(root).map(({ path, line }) => [path, line])).toEqual([['a.md', 3]]);
  });

  it('lets pass what leads somewhere, other sites, and what is shown in a block', () => {
    const text = '# Two words\n\n[a](#two-words) [b](docs/b.md#b--c) [d](docs) [e](https://e.example/gone)\n';
    const fenced = '```md\n[gone](gone.md)\n```\n`agent/a.ts` `updater/state.0`\n';
    const root = plantTree({ 'a.md': text + fenced, 'docs/b.md': '# B & C\n', 'agent/a.ts': '' });
    expect(linkViolations(root)).toEqual([]);
  });

  it('takes no line of a block for a heading', () => {
    expect([...anchorsOf('# One: `two`\n```sh\n# three\n```\n## Four\n')]).toEqual(['one-two', 'four']);
  });

  it('finds a page that the index leaves out', () => {
    const root = plantTree({ 'd/README.md': '[a](a.md)\n', 'd/a.md': '', 'd/b.md': '' });
    expect(unlistedPages(root, 'd')).toEqual(['b.md']);
  });
});
