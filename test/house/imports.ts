import { posix } from 'node:path';
import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** One import of a file, of whatever form. `specifier` is null where it is computed. */
interface Import {
  readonly specifier: string | null;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** What a program may import beside itself and Node. */
export interface ImportRule {
  readonly ours: readonly string[];
  /** null: whatever package.json lists under `dependencies`. */
  readonly packages: readonly string[] | null;
  /** null: all of Node. */
  readonly node: readonly string[] | null;
}

/** ARCHITECTURE.md, "The folders": all programs may import protocol/, and no other program. */
export const importTable: Readonly<Record<string, ImportRule>> = {
  protocol: { ours: [], packages: ['zod', '@tufjs/models'], node: ['node:crypto'] },
  agent: {
    ours: ['protocol'],
    packages: ['zod', 'got', 'better-sqlite3', 'pino', 'node-cron', 'systeminformation', 'canonicalize'],
    node: null,
  },
  updater: { ours: ['protocol'], packages: ['zod', 'got', '@tufjs/models'], node: null },
  'server-lite': { ours: ['protocol'], packages: null, node: null },
  image: { ours: ['protocol'], packages: null, node: null },
  // As a maker's code: it sees one module of the agent's.
  examples: { ours: [], packages: ['zod', 'holdfast'], node: null },
  // Starts the commands, whatever Node the machine has: nothing that is installed is needed for that; esbuild makes it fast.
  bin: { ours: [], packages: ['esbuild'], node: null },
};

/** `file imports specifier`, and why that is right in this one place. */
export const importExceptions: readonly {
  readonly path: string;
  /** null: what only a run can tell. */
  readonly specifier: string | null;
  readonly why: string;
}[] = [
  { path: 'protocol/layout.ts', specifier: 'node:path', why: 'paths are joined, no disk is touched' },
  {
    path: 'agent/threads/thread.ts',
    specifier: null,
    why: "it runs the maker's module, which no source of ours names",
  },
  { path: 'agent/maker/describe.ts', specifier: null, why: 'it describes the module that the build names' },
  { path: 'bin/pinned-node.js', specifier: null, why: 'it loads the program that it was asked for' },
];

function importOf(node: SyntaxNode): { source: SyntaxNode | null; typeOnly: boolean } | null {
  switch (node.type) {
    case 'ImportDeclaration':
      return { source: child(node, 'source'), typeOnly: node.importKind === 'type' };
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration': {
      const source = child(node, 'source');
      return source === null ? null : { source, typeOnly: node.exportKind === 'type' };
    }
    case 'ImportExpression':
      return { source: child(node, 'source'), typeOnly: false };
    case 'TSImportType':
      return { source: child(node, 'source') ?? child(node, 'argument'), typeOnly: true };
    case 'TSExternalModuleReference':
      return { source: child(node, 'expression'), typeOnly: false };
    case 'CallExpression': {
      const callee = child(node, 'callee');
      const isBuiltin =
        callee?.type === 'MemberExpression' && textOf(child(callee, 'property'), 'name') === 'getBuiltinModule';
      if (!isBuiltin && textOf(callee, 'name') !== 'require') return null;
      const [first] = Array.isArray(node.arguments) ? node.arguments : [];
      return { source: first ?? null, typeOnly: false };
    }
    default:
      return null;
  }
}

/** Static, re-exporting, dynamic, type and CommonJS imports of one file, and what it asks the process for. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  walk(file.syntax, (node) => {
    const made = importOf(node);
    if (made === null) return;
    const specifier = textOf(made.source, 'value');
    found.push({ specifier, typeOnly: made.typeOnly, line: lineAt(file, node.start) });
  });
  return found;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Where a relative import leads, from the tree's root. */
function targetOf(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier);
}

function problemOf(file: SourceFile, rule: ImportRule, listed: ReadonlySet<string>, specifier: string): string | null {
  if (specifier.startsWith('.')) {
    const program = targetOf(file, specifier).split('/')[0] ?? '';
    return program === file.program || rule.ours.includes(program)
      ? null
      : `${file.program}/ may not import ${program}/`;
  }
  if (specifier.startsWith('node:')) {
    return rule.node === null || rule.node.includes(specifier) ? null : `${file.program}/ may not import ${specifier}`;
  }
  const name = packageOf(specifier);
  const allowed = rule.packages === null ? listed.has(name) : rule.packages.includes(name);
  return allowed ? null : `${file.program}/ may not import the package ${name}`;
}

/** The import rule, over every program of the table. */
export function importViolations(files: readonly SourceFile[], listed: ReadonlySet<string>): Violation[] {
  return files.flatMap((file) => {
    const rule = importTable[file.program];
    if (rule === undefined) return [];
    return importsOf(file).flatMap(({ specifier, line }) => {
      if (importExceptions.some((entry) => entry.path === file.path && entry.specifier === specifier)) return [];
      const text = specifier === null ? 'imports what only a run can tell' : problemOf(file, rule, listed, specifier);
      return text === null ? [] : [{ path: file.path, line, text }];
    });
  });
}

/** What `start` reaches when it runs may import nothing but Node: it must start fast, and on a bare runtime. */
export function bareViolations(files: readonly SourceFile[], start: string): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set([start]);
  const found: Violation[] = [];
  for (const path of reached) {
    const file = byPath.get(path);
    if (file === undefined) {
      found.push({ path, line: 1, text: `${start} reaches it, and it does not exist` });
      continue;
    }
    for (const { specifier, typeOnly, line } of importsOf(file)) {
      if (typeOnly || specifier?.startsWith('node:')) continue;
      if (specifier?.startsWith('.')) reached.add(targetOf(file, specifier));
      else found.push({ path, line, text: `${start} reaches the import of ${specifier ?? 'something computed'}` });
    }
  }
  return found;
}

/** Only the listed files of a program may import a module: the rest go through their interface. */
export function onlyThrough(
  files: readonly SourceFile[],
  program: string,
  modules: readonly string[],
  allowed: readonly string[],
): Violation[] {
  return files
    .filter((file) => file.program === program && !allowed.includes(file.path))
    .flatMap((file) =>
      importsOf(file)
        .filter(({ specifier }) => specifier !== null && modules.includes(specifier))
        .map(({ specifier, line }) => ({
          path: file.path,
          line,
          text: `only ${allowed.join(', ')} may import ${specifier}`,
        })),
    );
}
