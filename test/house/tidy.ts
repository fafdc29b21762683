import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

export const fileLinesMax = 300;
export const functionLinesMax = 70;

/** Longer than a file or function may be, each with its reason. */
export const longFiles: Readonly<Record<string, string>> = {
  'image/texts.ts': 'every sentence of the program, to be read at once',
  'server-lite/texts.ts': 'every sentence of the program, to be read at once',
  'updater/words/texts.ts': 'it is a catalogue: every sentence of the updater, to be read and translated at once',
};

/** Where the process environment is read outside of a main.ts. */
export const environmentFiles: Readonly<Record<string, string>> = {
  'test/support/set-up.js': 'it is a program: npm starts it before anything else exists',
};

const functionTypes = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const testFunctions = new Set(['it', 'test', 'describe', 'suite']);
const forbiddenModifiers = new Set(['only', 'skip', 'todo', 'skipIf', 'runIf', 'fails']);

type Rule = (node: SyntaxNode, file: SourceFile, parent: SyntaxNode | null) => string | null;

/** The first name of a chain: `describe` of `describe.each(table)(…)`. */
function rootName(node: SyntaxNode | null): string | null {
  if (node?.type === 'Identifier') return textOf(node, 'name');
  return node === null ? null : rootName(child(node, 'object') ?? child(node, 'callee') ?? child(node, 'tag'));
}

function isTestFile(file: SourceFile): boolean {
  return file.path.endsWith('.test.ts');
}

function isProduct(file: SourceFile): boolean {
  return file.program !== 'test' && file.program !== '';
}

function linesOf(file: SourceFile, node: SyntaxNode): number {
  return lineAt(file, node.end) - lineAt(file, node.start) + 1;
}

const longFunction: Rule = (node, file, parent) => {
  if (!functionTypes.has(node.type)) return null;
  // The body of a describe is a table of contents, not a function.
  if (isTestFile(file) && parent?.type === 'CallExpression' && rootName(parent) === 'describe') return null;
  const lines = linesOf(file, node);
  return lines > functionLinesMax ? `a function of ${lines} lines; ${functionLinesMax} are allowed` : null;
};

const testModifier: Rule = (node) => {
  const modifier = node.type === 'MemberExpression' ? textOf(child(node, 'property'), 'name') : null;
  if (modifier === null || !forbiddenModifiers.has(modifier)) return null;
  return testFunctions.has(rootName(node) ?? '') ? `a test that is marked ${modifier}` : null;
};

function isEmptyBlock(node: SyntaxNode | null): boolean {
  return node?.type === 'BlockStatement' && Array.isArray(node.body) && node.body.length === 0;
}

const swallowed: Rule = (node) => {
  if (node.type === 'CatchClause') return isEmptyBlock(child(node, 'body')) ? 'an error is swallowed' : null;
  if (node.type !== 'CallExpression' || textOf(child(child(node, 'callee') ?? node, 'property'), 'name') !== 'catch')
    return null;
  const [handler] = Array.isArray(node.arguments) ? node.arguments : [];
  return isEmptyBlock(handler?.body ?? null) ? 'a rejection is swallowed' : null;
};

function isMember(node: SyntaxNode, object: string, property: string): boolean {
  if (node.type !== 'MemberExpression') return false;
  const found = textOf(child(node, 'property'), 'name') ?? textOf(child(node, 'property'), 'value');
  return rootName(child(node, 'object')) === object && found === property;
}

const wallClock: Rule = (node, file) => {
  if (file.program !== 'updater' && file.program !== 'agent') return null;
  if (file.path.startsWith(`${file.program}/effects/`)) return null;
  const arguments_ = Array.isArray(node.arguments) ? node.arguments : [];
  const isNow = node.type === 'NewExpression' && textOf(child(node, 'callee'), 'name') === 'Date';
  return isMember(node, 'Date', 'now') || (isNow && arguments_.length === 0)
    ? 'the wall clock, outside of effects/'
    : null;
};

const environment: Rule = (node, file) => {
  const isAllowed = file.path.endsWith('/main.ts') || isTestFile(file) || file.path in environmentFiles;
  if (isAllowed) return null;
  const isImported =
    node.type === 'ImportSpecifier' && textOf(child(node, 'imported'), 'name') === 'env'
      ? rootName(child(node, 'local'))
      : null;
  return isMember(node, 'process', 'env') || isImported !== null ? 'the process environment, outside of main.ts' : null;
};

const defaultExport: Rule = (node, file) =>
  node.type === 'ExportDefaultDeclaration' &&
  !/^vitest\.((hostile|kill|programs|systemd)\.)?config\.ts$/.test(file.path)
    ? 'a default export'
    : null;

const moduleState: Rule = (node, file, parent) =>
  node.type === 'VariableDeclaration' && node.kind === 'let' && parent?.type === 'Program' && isProduct(file)
    ? 'state that lives as long as its module'
    : null;

const roundAbout: Rule = (node) => {
  if (node.type !== 'TSAsExpression') return null;
  const inner = child(node, 'expression');
  const type = inner?.type === 'TSAsExpression' ? child(inner, 'typeAnnotation')?.type : undefined;
  return type === 'TSUnknownKeyword' || type === 'TSAnyKeyword' ? 'a cast around the checker' : null;
};

const rules: readonly Rule[] = [
  longFunction,
  testModifier,
  swallowed,
  wallClock,
  environment,
  defaultExport,
  moduleState,
  roundAbout,
];

/** Everything that STYLE asks of a source file and a machine can see. */
export function tidyViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const found: Violation[] = [];
    const lines = file.text.trimEnd().split('\n').length;
    if (lines > fileLinesMax && !(file.path in longFiles))
      found.push({ path: file.path, line: lines, text: `a file of ${lines} lines; ${fileLinesMax} are allowed` });
    walk(file.syntax, (node, parent) => {
      for (const rule of rules) {
        const text = rule(node, file, parent);
        if (text !== null) found.push({ path: file.path, line: lineAt(file, node.start), text });
      }
    });
    return found;
  });
}
