import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** Where the server reads JSON otherwise than by `readStored`, which one damaged value cannot stop; each with its reason. */
export const jsonReaders: Readonly<Record<string, string>> = {
  'server-lite/store/stored-json.ts': 'it is that function',
  'server-lite/machine/read-check-in.ts': 'a request, which is refused',
  'server-lite/machine/enrol.ts': 'a request, which is refused',
  'server-lite/machine/signed-exchange.ts': 'a request, whose signature names what its body says',
  'server-lite/version.ts': 'the release that this program is a part of',
  'server-lite/cli/api.ts': 'an answer, on the command line',
};

/** Where the clock of the server's machine may be read: it is given to the signing clock, and to nobody else. */
export const clockReaders: Readonly<Record<string, string>> = {
  'server-lite/commands/serve.ts': 'it hands the clock over',
  'server-lite/commands/keep.ts': 'it names and dates backups',
  'server-lite/cli/api.ts':
    'says on the command line what the clock there is, where a certificate is refused for its time',
};

function calls(node: SyntaxNode, object: string, property: string): boolean {
  const member = node.type === 'MemberExpression' ? node : null;
  return (
    textOf(child(member ?? node, 'object'), 'name') === object &&
    textOf(child(member ?? node, 'property'), 'name') === property
  );
}

function problemOf(node: SyntaxNode, { path }: SourceFile): string | null {
  if (calls(node, 'JSON', 'parse') && !(path in jsonReaders)) return 'JSON that is read without readStored';
  const isNow =
    node.type === 'NewExpression' &&
    textOf(child(node, 'callee'), 'name') === 'Date' &&
    Array.isArray(node.arguments) &&
    node.arguments.length === 0;
  if ((isNow || calls(node, 'Date', 'now')) && !(path in clockReaders))
    return "the machine's clock, past the signing clock";
  return null;
}

/** What holds for the sources of the server. */
export function serverViolations(files: readonly SourceFile[]): Violation[] {
  return files
    .filter(({ program }) => program === 'server-lite')
    .flatMap((file) => {
      const found: Violation[] = [];
      walk(file.syntax, (node) => {
        const text = problemOf(node, file);
        if (text !== null) found.push({ path: file.path, line: lineAt(file, node.start), text });
      });
      return found;
    });
}
