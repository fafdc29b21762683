import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** What answers others in one thread, where a wait for another process would be everybody's. */
const answering = ['server-lite/', 'agent/', 'updater/page/'];

/** Where such a wait may be, each with its reason. */
export const waitingFiles: Readonly<Record<string, string>> = {
  'server-lite/store/database.ts': 'a start and a stop wait; while the server serves nothing does',
  'server-lite/store/directory-lock.ts': 'a start, before anybody is answered',
  'server-lite/backup/make-backup.ts': 'a command, in a process of its own',
  'server-lite/replace-token.ts': 'a command, in a process of its own',
  'agent/state.ts': 'a start waits; an open store for 100 ms, of the 2 s that a health answer has',
};

const programs = new Set(['spawnSync', 'execSync', 'execFileSync']);
/** Each waits for a lock: five seconds where nothing else is said. */
const databases = new Set(['Database', 'Sqlite', 'DatabaseSync']);

function problemOf(node: SyntaxNode): string | null {
  if (node.type === 'Identifier' && programs.has(textOf(node, 'name') ?? '')) return 'waits for another program';
  if (node.type === 'NewExpression' && databases.has(textOf(child(node, 'callee'), 'name') ?? ''))
    return 'opens a database, whose statements wait for other processes';
  const text = node.type === 'TemplateElement' ? String(Object(node.value).raw) : textOf(node, 'value');
  if ((node.type === 'Literal' || node.type === 'TemplateElement') && text?.includes('busy_timeout'))
    return 'waits for a lock of another process';
  const isWait =
    node.type === 'MemberExpression' &&
    textOf(child(node, 'object'), 'name') === 'Atomics' &&
    textOf(child(node, 'property'), 'name') === 'wait';
  return isWait ? 'stops the thread' : null;
}

/** Nothing synchronous waits for another process where others are to be answered. */
export function syncWaitViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const found: Violation[] = [];
    if (!answering.some((folder) => file.path.startsWith(folder)) || file.path in waitingFiles) return found;
    walk(file.syntax, (node) => {
      const text = problemOf(node);
      if (text !== null) found.push({ path: file.path, line: lineAt(file, node.start), text });
    });
    return found;
  });
}
