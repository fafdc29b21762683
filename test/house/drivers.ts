import { components } from '../../protocol/component.ts';
import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/**
 * Which component something is about, only its driver (and its rules and words, which are tables) knows: nobody compares
 * one with a name. Who wants another answer for each of them asks the driver for it.
 */
const driversFolder = 'updater/transaction/drivers/';

/** Who compares all the same, each with its reason. */
export const comparers: Readonly<Record<string, string>> = {
  'updater/launch/table.ts': 'launch imports nothing at all, and outlives every driver',
  'updater/launch/count.ts': 'launch imports only Node, and outlives every driver',
  'updater/launch/main.ts': 'the words of its command line',
  'updater/words/component-words.ts': 'what people call a component, said in one place',
  'updater/page/view.ts': 'a program of its own, which picks the lines of the agent out of a file',
};

const names: ReadonlySet<string> = new Set(components);
const comparisons: ReadonlySet<string> = new Set(['===', '!==', '==', '!=']);

function isName(node: SyntaxNode | null): boolean {
  const name = node?.type === 'Literal' ? textOf(node, 'value') : null;
  return name !== null && names.has(name);
}

function compares(node: SyntaxNode): boolean {
  if (node.type === 'SwitchCase') return isName(child(node, 'test'));
  if (node.type !== 'BinaryExpression' || !comparisons.has(textOf(node, 'operator') ?? '')) return false;
  return isName(child(node, 'left')) || isName(child(node, 'right'));
}

/** Where a component is compared with a name, beside the drivers; `listed`: also in the files that have a reason. */
export function componentComparisons(files: readonly SourceFile[], listed = false): Violation[] {
  return files.flatMap((file) => {
    const mayCompare = file.path.startsWith(driversFolder) || (!listed && comparers[file.path] !== undefined);
    if (file.program !== 'updater' || mayCompare) return [];
    const found: Violation[] = [];
    walk(file.syntax, (node) => {
      if (!compares(node)) return;
      const text = 'a component is compared with a name: its driver has the answer';
      found.push({ path: file.path, line: lineAt(file, node.start), text });
    });
    return found;
  });
}
