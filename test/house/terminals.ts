import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/**
 * What a program writes to a terminal, a journal or a pipe passes `printable` first: texts of appliances, sticks and bundles
 * must not command the terminal of whoever reads them. So standard output and error are used in one form only:
 * `process.stdout.write(printable(…))`.
 */

/** Other uses, each with its reason: how many there are, and why. */
export const terminalExceptions: Readonly<Record<string, { readonly uses: number; readonly why: string }>> = {
  'agent/threads/thread.ts': { uses: 3, why: 'what is printed in a thread becomes lines of its log' },
  'bin/pinned-node.js': {
    uses: 2,
    why: 'runs before anything is built: its own words, and the program that it starts',
  },
  'test/story/main.ts': { uses: 2, why: 'its Screen writes printable lines' },
  'agent/main.ts': { uses: 1, why: 'hands standard output to its log, which writes printable lines' },
  'image/keys/passphrase.ts': { uses: 1, why: 'asks on the terminal itself; the question is printable' },
  'image/terminal.ts': { uses: 1, why: 'reads an answer; the question is printable' },
  'server-lite/cli/demo-commands.ts': {
    uses: 1,
    why: "a program of one's own writes there, for whoever tries Holdfast",
  },
  'server-lite/cli/image-program.ts': { uses: 1, why: "the builder's program writes there, printable as everywhere" },
  'image/main.ts': { uses: 1, why: 'hears that its output cannot be written' },
  'server-lite/cli/main.ts': { uses: 1, why: 'hears that its output cannot be written' },
  'server-lite/main.ts': { uses: 1, why: 'hears that its output cannot be written' },
  'updater/launch/main.ts': { uses: 2, why: 'hears that its log cannot be written' },
  'updater/main.ts': { uses: 2, why: 'hears that its output cannot be written' },
  'updater/page/main.ts': { uses: 1, why: 'hears that its output cannot be written' },
  'server-lite/commands/serve.ts': { uses: 1, why: 'the destination of its log, which writes printable lines' },
};

const programs = new Set(['agent', 'bin', 'updater', 'server-lite', 'image', 'protocol']);
/** What `npm start` and `holdfast demo` run. */
const storyFiles = /^test\/story\/[^/]+\.ts$/;
const streams = new Set(['stdout', 'stderr']);
const numbered = new Set(['writeSync', 'write', 'createWriteStream', 'destination']);

/** `process.stdout`, also by a computed name. */
function isStream(node: SyntaxNode | null): boolean {
  if (node?.type !== 'MemberExpression') return false;
  const property = child(node, 'property');
  const name = textOf(property, 'name') ?? textOf(property, 'value');
  return textOf(child(node, 'object'), 'name') === 'process' && name !== null && streams.has(name);
}

function argumentsOf(node: SyntaxNode): SyntaxNode[] {
  return Array.isArray(node.arguments) ? node.arguments : [];
}

/** `process.stdout.write(printable(…))`, and nothing but it. */
function isPrintableWrite(call: SyntaxNode): boolean {
  const [first] = argumentsOf(call);
  const method = textOf(child(child(call, 'callee') ?? call, 'property'), 'name');
  return (
    method === 'write' && first?.type === 'CallExpression' && textOf(child(first, 'callee'), 'name') === 'printable'
  );
}

/** Ways past `process.stdout`. */
function otherWay(node: SyntaxNode): string | null {
  if (node.type === 'Identifier' && node.name === 'console') return 'console';
  if (node.type === 'NewExpression' && textOf(child(node, 'callee'), 'name') === 'WriteStream') return 'a terminal';
  if (node.type === 'Property' && textOf(child(node, 'key'), 'name') === 'stdio') {
    const value = child(node, 'value');
    const words = Array.isArray(value?.elements) ? value.elements : [value];
    return words.some((word: SyntaxNode | null) => textOf(word, 'value') === 'inherit') ? 'inherit' : null;
  }
  if (node.type !== 'CallExpression') return null;
  const callee = child(node, 'callee');
  const name = textOf(callee, 'name') ?? textOf(child(callee ?? node, 'property'), 'name') ?? '';
  const [first] = argumentsOf(node);
  if (!numbered.has(name)) return null;
  const isNumbered = first?.value === 1 || first?.value === 2;
  return isNumbered || /^\/dev\/(std|tty|fd|console)/.test(textOf(first ?? null, 'value') ?? '') ? name : null;
}

export function terminalViolations(
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, { readonly uses: number }>>,
): Violation[] {
  return files
    .filter(({ program, path }) => programs.has(program) || (storyFiles.test(path) && !path.endsWith('.test.ts')))
    .flatMap((file) => {
      const found: Violation[] = [];
      const good = new Set<SyntaxNode>();
      walk(file.syntax, (node) => {
        const stream = child(child(node, 'callee') ?? node, 'object');
        if (node.type === 'CallExpression' && isStream(stream) && isPrintableWrite(node) && stream !== null)
          good.add(stream);
        const isTaken = node.type === 'VariableDeclarator' && textOf(child(node, 'init'), 'name') === 'process';
        const names = isTaken && /\bstd(out|err)\b/.test(file.text.slice(node.start, node.end));
        const way = names || (isStream(node) && !good.has(node)) ? 'unprintable' : otherWay(node);
        if (way !== null)
          found.push({ path: file.path, line: lineAt(file, node.start), text: `writes past printable: ${way}` });
      });
      const commands = /new Command\(/.test(file.text) && !/\.configureOutput\(/.test(file.text);
      if (commands) found.push({ path: file.path, line: 1, text: 'its command line writes past printable' });
      return found.length === exceptions[file.path]?.uses ? [] : found;
    });
}
