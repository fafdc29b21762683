import { posix } from 'node:path';
import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** Names under which files know the root of the checkout. */
const rootNames = new Set(['checkout', 'checkoutRoot']);
const programFolders = new Set(['agent', 'bin', 'image', 'protocol', 'server-lite', 'test', 'updater']);

function isOwnFolder(node: SyntaxNode): boolean {
  return (
    node.type === 'MemberExpression' &&
    child(node, 'object')?.type === 'MetaProperty' &&
    textOf(child(node, 'property'), 'name') === 'dirname'
  );
}

/** The path of a source file that a call of `join` or `resolve` puts together from literals, or null. */
function joinedPath(file: SourceFile, node: SyntaxNode): string | null {
  const name = node.type === 'CallExpression' ? textOf(child(node, 'callee'), 'name') : null;
  if (name !== 'join' && name !== 'resolve') return null;
  const [first, ...others]: SyntaxNode[] = Array.isArray(node.arguments) ? node.arguments : [];
  if (first === undefined) return null;
  const rest = others.map((one) => textOf(one, 'value'));
  const parts = rest.filter((part) => part !== null);
  if (parts.length < rest.length || !/\.(ts|js|pl)$/.test(parts.at(-1) ?? '')) return null;
  if (isOwnFolder(first)) return posix.join(posix.dirname(file.path), ...parts);
  if (rootNames.has(textOf(first, 'name') ?? '')) return posix.join(...parts);
  const folder = textOf(first, 'value') ?? '';
  return programFolders.has(folder) ? posix.join(folder, ...parts) : null;
}

/** Source files that the code names by a joined path, where no import shows that they have moved. */
export function lostPaths(files: readonly SourceFile[], exists: (path: string) => boolean): Violation[] {
  return files.flatMap((file) => {
    const found: Violation[] = [];
    walk(file.syntax, (node) => {
      const path = joinedPath(file, node);
      if (path === null || exists(path)) return;
      found.push({ path: file.path, line: lineAt(file, node.start), text: `${path} does not exist` });
    });
    return found;
  });
}
