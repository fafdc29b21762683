import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
// biome-ignore lint/suspicious/noDeprecatedImports: its successor belongs to a package that this one does not list
import { parseAst } from 'vitest/node';

/** A node of the syntax tree (ESTree with TypeScript's nodes), as much of it as the rules need. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface SourceFile {
  /** Relative to the tree's root, with `/`. */
  readonly path: string;
  /** The first folder: the program that the file belongs to; empty at the root, `test` for every test. */
  readonly program: string;
  readonly text: string;
  readonly syntax: SyntaxNode;
}

/** What a rule found, and where. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

const ignoredDirectories = new Set(['node_modules', '.git', 'dist', 'coverage', '.holdfast']);

/** Every file below `root` whose name passes, sorted; relative paths. */
export function filesBelow(root: string, passes: (path: string) => boolean): string[] {
  const found: string[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory() && !ignoredDirectories.has(entry.name)) visit(join(directory, entry.name));
      const path = relative(root, join(directory, entry.name)).replaceAll('\\', '/');
      if (entry.isFile() && passes(path)) found.push(path);
    }
  };
  visit(root);
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function parse(path: string, text: string): SyntaxNode {
  // As long as it was, so that every offset still fits the text.
  const code = text.replace(/^#!/, '//');
  const program: unknown = parseAst(code, { lang: path.endsWith('.ts') ? 'ts' : 'js' });
  if (!isNode(program)) throw new TypeError(`${path} did not parse to a program`);
  return program;
}

/** @throws when a file does not parse: a rule must never pass over what it cannot read */
export function readSources(root: string): SourceFile[] {
  return filesBelow(root, (path) => /\.(ts|js)$/.test(path)).map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    return { path, program: programOf(path), text, syntax: parse(path, text) };
  });
}

/** Calls `visit` for every node below `node`, parents first. */
export function walk(node: SyntaxNode, visit: (node: SyntaxNode, parent: SyntaxNode | null) => void): void {
  const descend = (value: unknown, parent: SyntaxNode | null): void => {
    if (Array.isArray(value)) for (const item of value) descend(item, parent);
    else if (isNode(value)) {
      visit(value, parent);
      for (const [key, child] of Object.entries(value)) if (key !== 'parent') descend(child, value);
    }
  };
  descend(node, null);
}

/** A child node by its key, or null. */
export function child(node: SyntaxNode, key: string): SyntaxNode | null {
  const value = node[key];
  return isNode(value) ? value : null;
}

/** A string property by its key (`name` of an identifier, `value` of a literal), or null. */
export function textOf(node: SyntaxNode | null, key: string): string | null {
  const value = node?.[key];
  return typeof value === 'string' ? value : null;
}

export function lineAt(file: SourceFile, offset: number): number {
  return file.text.slice(0, offset).split('\n').length;
}

/** Tests of examples lie beside them. */
function programOf(path: string): string {
  if (path.endsWith('.test.ts')) return 'test';
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}
