import { inOneLine, printable } from '../../protocol/printable.ts';
import { displayWidth, padded, piecesOf } from './display-width.ts';

/** Width that fits in every terminal. */
const lineMax = 100;
const gap = '  ';
/** The last column is wrapped, but never narrower than this. */
const lastColumnMin = 28;

/** Wraps words into lines of at most `width` columns; cuts a longer word. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text)
    .split(/\s+/)
    .filter((each) => each !== '')) {
    for (const piece of piecesOf(word, width)) {
      if (line === '') line = piece;
      else if (displayWidth(line) + 1 + displayWidth(piece) <= width) line = `${line} ${piece}`;
      else {
        lines.push(line);
        line = piece;
      }
    }
  }
  return [...lines, line];
}

/** Rows under a heading in aligned columns; the last one gets the rest of the line, and is wrapped. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  // Before widths are counted: an escape is longer than the character that it replaces.
  const all = [heading, ...rows].map((row) => row.slice(0, -1).map(inOneLine).concat(row.slice(-1)));
  const last = heading.length - 1;
  const widths = heading
    .slice(0, last)
    .map((_, column) => Math.max(...all.map((row) => displayWidth(row[column] ?? ''))));
  const used = widths.reduce((sum, width) => sum + width + gap.length, 0);
  const left = Math.max(lineMax - used, lastColumnMin);
  return all
    .flatMap((row) => {
      const cells = widths.map((width, column) => padded(row[column] ?? '', width)).join(gap);
      return wrap(row[last] ?? '', left).map((text, index) =>
        `${index === 0 ? cells : ' '.repeat(displayWidth(cells))}${gap}${text}`.trimEnd(),
      );
    })
    .join('\n');
}

/** Names and values, one a line; long values are wrapped below their beginning. */
export function list(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => displayWidth(name)));
  return pairs
    .flatMap(([name, value]) =>
      value
        .split('\n')
        .flatMap((line) => wrap(line, lineMax - width - gap.length))
        .map((text, index) => `${padded(index === 0 ? name : '', width)}${gap}${text}`.trimEnd()),
    )
    .join('\n');
}

/** A text below a row, indented, so that it can use the whole line. */
export function below(text: string): string {
  const indent = '    ';
  return wrap(text, lineMax - indent.length)
    .map((line) => `${indent}${line}`)
    .join('\n');
}

/** A text, wrapped into lines that fit. */
export function wrapped(text: string): string {
  return wrap(text, lineMax).join('\n');
}
