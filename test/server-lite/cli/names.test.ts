import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { displayWidth, piecesOf } from '../../../server-lite/cli/display-width.ts';
import { list, table } from '../../../server-lite/cli/table.ts';
import { TestServer } from '../../support/test-server.ts';

const cli = resolve('server-lite/cli/main.ts');
/** Of 60 code units with their marks, which is as long as a name may be. */
const longThai = 'ที่'.repeat(20);
/** As people look for them. */
const inOrder = ['Ämter', 'pier-2', 'pier-10', 'Zeche', 'दिल्ली', 'ท่าเรือ ๑', longThai, '上海港'];

describe('names of every script', () => {
  it('are claimed however they are typed, and shown in order and in columns', async () => {
    await using bench = await TestServer.start();
    const token = join(bench.directory, 'token');
    await writeFile(token, bench.token, { mode: 0o600 });
    await bench.publish('1.0.49');
    for (const name of inOrder.toReversed()) await bench.appliance(name.normalize('NFD'));
    const run = (...words: string[]) =>
      execa(process.execPath, [cli, '--server', bench.url, '--token-file', token, ...words], { reject: false });
    const { stdout } = await run('fleet');
    const [heading = '', ...lines] = stdout.split('\n');
    const rows = inOrder.map((name) => lines.find((line) => line.startsWith(`${name.normalize('NFC')} `)) ?? '');
    expect(lines.filter((line) => rows.includes(line))).toEqual(rows);
    const stateAt = heading.indexOf('STATE');
    expect(rows.map((row) => displayWidth(row.slice(0, row.indexOf('offline'))))).toEqual(rows.map(() => stateAt));
    const page = await (await fetch(`${bench.url}/fragment`)).text();
    const places = inOrder.map((name) => page.indexOf(`>${name.normalize('NFC')}<`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    for (const name of inOrder) {
      const shown = await run('appliance', 'show', name.normalize('NFD'));
      expect([shown.exitCode, shown.stdout]).toEqual([0, expect.stringContaining(name.normalize('NFC'))]);
    }
  });

  it('that are too long are refused with the length that there is', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const name = `${longThai}ที่ก`;
    expect(name).toHaveLength(64);
    const { status, body } = await bench.api('POST', '/api/claims', { name, site: 'x' });
    const message = 'name: at most 60 characters; each mark above or below a letter counts as one';
    const next = 'correct what is named, then send it again';
    expect([status, body]).toEqual([400, { code: 'request-malformed', message, next }]);
  });
});

describe('a column of a terminal', () => {
  it.each([
    ['pier', 4],
    ['ที่', 1],
    ['เรือ', 3],
    ['Köln', 4],
    ['Ko\u0308ln', 4],
    ['上海港', 6],
    ['ハ', 2],
    ['ﾊ', 1],
    ['서울', 4],
    ['Гамбург', 7],
  ])('%s takes as many as a person sees: %i', (text, columns) => {
    expect(displayWidth(text)).toBe(columns);
  });

  it('is never put between a letter and its marks, or into a letter', () => {
    expect(piecesOf('ที่'.repeat(5), 2)).toEqual(['ที่ที่', 'ที่ที่', 'ที่']);
    expect(piecesOf('上海港', 3)).toEqual(['上', '海', '港']);
    expect(piecesOf('𠮷𠮷', 1)).toEqual(['𠮷', '𠮷']);
    expect(piecesOf('', 5)).toEqual(['']);
  });

  it('is where it should be in every row', () => {
    expect(
      table(
        ['NAME', 'WHY'],
        [
          ['上海', 'x'],
          ['ที่', 'y'],
          ['pier', 'z'],
        ],
      ),
    ).toBe(['NAME  WHY', '上海  x', 'ที่     y', 'pier  z'].join('\n'));
    expect(
      list([['a', '上'.repeat(60)]])
        .split('\n')
        .map(displayWidth),
    ).toEqual([99, 27]);
  });

  it.each(['a1\u3164', 'a1\u034f', '\u115f1', 'a\u180b1', 'a\ufe0f1'])(
    '%j has a character that nobody sees, and is refused',
    async (name) => {
      await using bench = await TestServer.start();
      await bench.publish('1.0.49');
      const { status, body } = await bench.api('POST', '/api/claims', { name, site: 'x' });
      expect([status, body]).toMatchObject([
        400,
        { message: expect.stringContaining('only characters that can be seen') },
      ]);
    },
  );
});
