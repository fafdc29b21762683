/** Width of a terminal line that everything fits in. */
const lineMax = 100;
const gap = '  ';
/** The last column is wrapped, but not into less than this. */
const lastColumnMin = 28;

/** Words put into lines of at most `width` characters; a longer word is cut. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    for (let rest = word; rest !== ''; rest = rest.slice(width)) {
      const piece = rest.slice(0, width);
      if (line === '') line = piece;
      else if (line.length + 1 + piece.length <= width) line = `${line} ${piece}`;
      else {
        lines.push(line);
        line = piece;
      }
    }
  }
  return [...lines, line];
}

/** Rows under a heading in aligned columns; the last one takes what is left of the line, and is wrapped. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows];
  const last = heading.length - 1;
  const widths = heading.slice(0, last).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const used = widths.reduce((sum, width) => sum + width + gap.length, 0);
  const left = Math.max(lineMax - used, lastColumnMin);
  return all
    .flatMap((row) => {
      const cells = widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(gap);
      return wrap(row[last] ?? '', left).map((text, index) =>
        `${index === 0 ? cells : ' '.repeat(cells.length)}${gap}${text}`.trimEnd(),
      );
    })
    .join('\n');
}

/** Names and values, one a line; long values are wrapped under themselves. */
export function list(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs
    .flatMap(([name, value]) =>
      value
        .split('\n')
        .flatMap((line) => wrap(line, lineMax - width - gap.length))
        .map((text, index) => `${(index === 0 ? name : '').padEnd(width)}${gap}${text}`.trimEnd()),
    )
    .join('\n');
}

/** A text below a row, indented, so that it has the whole line. */
export function below(text: string): string {
  const indent = '    ';
  return wrap(text, lineMax - indent.length)
    .map((line) => `${indent}${line}`)
    .join('\n');
}
