import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/**
 * What people read stands in one file a program, its catalogue, so that it can be read and translated at once. Elsewhere no
 * literal is a sentence, and no markup holds a word.
 */

/** The folder of a program, and its catalogue. */
export const catalogues: Readonly<Record<string, string>> = {
  agent: 'agent/texts.ts',
  image: 'image/texts.ts',
  'server-lite': 'server-lite/texts.ts',
  updater: 'updater/words/texts.ts',
};

/** Who holds a sentence all the same: its file, and why. */
export const sentenceExceptions: Readonly<Record<string, string>> = {
  'image/ceremony/change.ts': 'the mark by which a file is known',
  'image/ceremony/show-keys.ts': 'a value that programs read, too',
  'image/emit.ts': 'a line of source, which is rewritten',
  'image/main.ts': 'a command, as it is typed',
  'image/release.ts': 'what a manifest records of its builder',
  'server-lite/dashboard/page.ts': 'the name of the product',
  'updater/effects/space.ts': 'what fallocate says: it is compared, and not shown',
  'updater/page/style.ts': 'a style sheet and a script: code that a browser reads',
};

/** Their texts are for developers: the program crashes. */
const bugs: ReadonlySet<string> = new Set(['RangeError', 'TypeError', 'UnexpectedEventError']);
/** Calls that tell a person what a command does. */
const descriptions: ReadonlySet<string> = new Set(['description', 'summary']);

/** Stands for what a template puts in; no text holds it. */
const hole = '□';
const lower = "[a-z]+(?:['’-][a-z]+)*";
const word = `[A-Za-z]${lower.replace('+', '*')}`;
/** Three words in a row, the last two in lower case; what a template puts in may be one of the first two. */
const sentence = new RegExp(
  `(?<![\\w/.$-])(?:${word},? (?:${lower}|${hole})|${hole},? ${lower}),? ${lower}(?![\\w/=(-])`,
);
/** A statement of SQL, whose names are words. */
const sql = /\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|VALUES|WHERE)\b/;
const twoWords = new RegExp(`${word},? ${lower}`);
/** Attributes that a browser shows. */
const shownAttribute = new RegExp(`\\b(?:placeholder|title|alt|aria-label)="[^"]*${twoWords.source}`);

function nodesOf(value: unknown): SyntaxNode[] {
  return Array.isArray(value) ? value : [];
}

/** The text of a literal or a template, with a hole for each expression; null: neither. */
function textOfLiteral(node: SyntaxNode): string | null {
  if (node.type === 'Literal') return textOf(node, 'value');
  if (node.type !== 'TemplateLiteral') return null;
  return nodesOf(node.quasis)
    .map((quasi) => (quasi.value as { readonly cooked: string }).cooked)
    .join(hole);
}

function isTag(node: SyntaxNode | null): boolean {
  return node?.type === 'TaggedTemplateExpression' && textOf(child(node, 'tag'), 'name') === 'html';
}

/** The words between the tags, and in attributes that are shown. */
function hasWordsInMarkup(markup: string): boolean {
  const between = markup.replaceAll(/<[^>]*>/g, ' ').replaceAll(hole, ' ');
  return /[A-Za-z]{2}/.test(between) || shownAttribute.test(markup);
}

/** What is wrong with a literal at this place; null: nothing. */
function whyWrong(node: SyntaxNode, parent: SyntaxNode | null): string | null {
  const text = textOfLiteral(node);
  if (text === null || parent?.type === 'TSLiteralType' || parent?.type === 'ImportDeclaration') return null;
  if (isTag(parent)) return hasWordsInMarkup(text) ? 'words in markup' : null;
  const callee = parent === null ? null : child(parent, 'callee');
  const isArgument = nodesOf(parent?.arguments).includes(node);
  const name = textOf(callee, 'name') ?? textOf(child(callee ?? node, 'property'), 'name') ?? '';
  if (isArgument && parent?.type === 'NewExpression') {
    if (bugs.has(name)) return null;
    if (name.endsWith('Error') && twoWords.test(text)) return 'the sentence of an error';
  }
  if (isArgument && descriptions.has(name)) return 'a description';
  // The name of an event, by which the same one is told once.
  if (isArgument && name === 'add' && node === nodesOf(parent?.arguments)[0]) return null;
  return sentence.test(text) && !sql.test(text) ? 'a sentence' : null;
}

/** Words that people read, outside of their program's catalogue. */
export function sentencesElsewhere(
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, string>>,
): Violation[] {
  return files.flatMap((file) => {
    const catalogue = catalogues[file.program];
    if (catalogue === undefined || file.path === catalogue || file.path in exceptions) return [];
    const found: Violation[] = [];
    walk(file.syntax, (node, parent) => {
      const why = whyWrong(node, parent);
      if (why === null) return;
      found.push({ path: file.path, line: lineAt(file, node.start), text: `${why}, which belongs in ${catalogue}` });
    });
    return found;
  });
}
