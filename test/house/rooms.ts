import { posix } from 'node:path';
import { importsOf } from './imports.ts';
import type { SourceFile, Violation } from './source.ts';

/**
 * A room is a folder of a program, with what lies below it. What a file imports, a type included, ties its room to the other
 * one; the files that stand in a program's own folder are its hall.
 */
const hall = '.';

export const byText = (a: string, b: string) => (a < b ? -1 : 1);

function roomOf(path: string): string {
  const [, room, below] = path.split('/');
  return room === undefined || below === undefined ? hall : room;
}

interface Tie {
  readonly from: SourceFile;
  readonly to: string;
  readonly line: number;
}

function tiesOf(files: readonly SourceFile[], program: string): Tie[] {
  return files
    .filter((file) => file.program === program)
    .flatMap((from) =>
      importsOf(from).flatMap(({ specifier, line }) => {
        if (specifier?.startsWith('.') !== true) return [];
        const to = posix.join(posix.dirname(from.path), specifier);
        return to.startsWith(`${program}/`) ? [{ from, to, line }] : [];
      }),
    );
}

type Graph = ReadonlyMap<string, ReadonlyMap<string, Violation>>;

/** @param nameOf null: not part of the graph */
function graphOf(ties: readonly Tie[], nameOf: (path: string) => string | null): Graph {
  const graph = new Map<string, Map<string, Violation>>();
  for (const { from, to, line } of ties) {
    const [a, b] = [nameOf(from.path), nameOf(to)];
    if (a === null || b === null || a === b) continue;
    const known = graph.get(a) ?? new Map<string, Violation>();
    if (!known.has(b)) known.set(b, { path: from.path, line, text: `${a} imports ${to}` });
    graph.set(a, known);
  }
  return graph;
}

function isReached(graph: Graph, from: string, goal: string): boolean {
  const reached = new Set([from]);
  for (const name of reached) {
    for (const next of graph.get(name)?.keys() ?? []) {
      if (next === goal) return true;
      reached.add(next);
    }
  }
  return false;
}

/** Each import that is part of a circle: from where it leads, something leads back. */
function circles(graph: Graph): Violation[] {
  return [...graph].flatMap(([from, targets]) =>
    [...targets].filter(([to]) => isReached(graph, to, from)).map(([, violation]) => violation),
  );
}

/** Imports that tie files of one program in a circle. */
export function fileCircles(files: readonly SourceFile[], program: string): Violation[] {
  return circles(graphOf(tiesOf(files, program), (path) => path));
}

/** Imports that tie rooms of one program in a circle; the hall, where everything is put together, is a room only of `wholeHouse`. */
export function roomCircles(files: readonly SourceFile[], program: string, wholeHouse: boolean): Violation[] {
  const nameOf = (path: string) => (roomOf(path) === hall && !wholeHouse ? null : roomOf(path));
  return circles(graphOf(tiesOf(files, program), nameOf));
}

/** Each room of a program, and the rooms that it imports (`room: one two`), in the order of the alphabet. */
export function listRooms(files: readonly SourceFile[], program: string): string {
  const graph = graphOf(tiesOf(files, program), roomOf);
  const rooms = new Set(files.filter((file) => file.program === program).map(({ path }) => roomOf(path)));
  rooms.delete(hall);
  return [...rooms]
    .sort(byText)
    .map((room) => `${room}: ${[...(graph.get(room)?.keys() ?? [])].sort(byText).join(' ') || '–'}`)
    .join('\n');
}

/**
 * The rooms of a document's `rooms` block, in the form of {@link listRooms}. There a line is the room, what is at home in it,
 * an arrow and its imports; a line without one of these is named, and so equals no listing.
 */
export function shownRooms(document: string): string {
  const [, block = ''] = /^```rooms\n(.*?)\n```$/ms.exec(document) ?? [];
  const lines = block.split('\n').map((line) => {
    const [, room, imports] = /^(\S+) {2,}\S.*? +← (\S.*)$/.exec(line) ?? [];
    return room === undefined || imports === undefined ? `no room: ${line}` : `${room}: ${imports}`;
  });
  return lines.join('\n');
}

/**
 * Files of a room that import anything but that room, protocol/, their program's sentences and pure packages: they decide,
 * and touch nothing.
 */
export function impureImports(files: readonly SourceFile[], room: string, packages: readonly string[]): Violation[] {
  return files
    .filter(({ path }) => path.startsWith(`${room}/`))
    .flatMap((file) =>
      importsOf(file).flatMap(({ specifier, line }) => {
        const to = specifier?.startsWith('.') === true ? posix.join(posix.dirname(file.path), specifier) : specifier;
        const isPure =
          to !== null &&
          (to.startsWith(`${room}/`) ||
            to.startsWith('protocol/') ||
            to === `${file.program}/texts.ts` ||
            packages.includes(to));
        return isPure ? [] : [{ path: file.path, line, text: `${room}/ decides only, and may not import ${to}` }];
      }),
    );
}

/** Imports of one room from another, of types as well. */
export function tiesTo(files: readonly SourceFile[], from: string, to: string): Violation[] {
  const program = from.split('/')[0] ?? '';
  return tiesOf(files, program)
    .filter((tie) => tie.from.path.startsWith(`${from}/`) && tie.to.startsWith(`${to}/`))
    .map((tie) => ({ path: tie.from.path, line: tie.line, text: `${from}/ imports ${tie.to}` }));
}
