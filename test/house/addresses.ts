import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/** One function joins addresses (protocol/address.ts): nobody else may lose the path of a base, or double a slash. */
const joiner = 'protocol/address.ts';

/** Where an address is made from two parts for another reason. */
export const addressExceptions: Readonly<Record<string, string>> = {
  'updater/effects/http.ts': 'a redirect names its place relative to the address that was asked (RFC 9110, 10.2.2)',
};

/** A name that holds an address in this project. */
const addressName = /^(?:url|origin|address)$|(?:Url|Address)$/;
/** In a text it does; as a number it may be the base of something else. */
const baseName = /^base$|Base$/;

/** The last name of a chain: `url` of `deps.identity.url.replace(…)`. */
function lastName(node: SyntaxNode | null): string {
  if (node === null) return '';
  if (node.type === 'Identifier') return textOf(node, 'name') ?? '';
  if (node.type === 'MemberExpression') return textOf(child(node, 'property'), 'name') ?? '';
  // What is made of an address by a method is still one.
  if (node.type === 'CallExpression') return lastName(child(child(node, 'callee') ?? node, 'object'));
  return node.type === 'ChainExpression' ? lastName(child(node, 'expression')) : '';
}

function list(node: SyntaxNode, key: string): SyntaxNode[] {
  const value = node[key];
  return Array.isArray(value) ? value : [];
}

/** `${url}/path`, `${base}${path}`: an address with something right behind it. */
function joinsInTemplate(node: SyntaxNode): boolean {
  const [before, after] = list(node, 'quasis').map((quasi) => {
    const value = quasi.value;
    return typeof value === 'object' && value !== null && 'raw' in value ? String(value.raw) : '';
  });
  const [first, ...others] = list(node, 'expressions');
  if (before !== '' || first === undefined) return false;
  const name = lastName(first);
  if (!addressName.test(name) && !baseName.test(name)) return false;
  return after?.startsWith('/') === true || (after === '' && others.length > 0);
}

function problemOf(node: SyntaxNode): string | null {
  if (node.type === 'NewExpression' && textOf(child(node, 'callee'), 'name') === 'URL')
    return list(node, 'arguments').length > 1 ? 'an address from two parts: the path of the base is lost' : null;
  if (node.type === 'TemplateLiteral')
    return joinsInTemplate(node) ? 'an address is put together: addressBelow does that' : null;
  const isSum = node.type === 'BinaryExpression' && node.operator === '+';
  return isSum && addressName.test(lastName(child(node, 'left')))
    ? 'an address is put together: addressBelow does that'
    : null;
}

export function addressViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    if (file.program === 'test' || file.program === '' || file.path === joiner) return [];
    if (file.path in addressExceptions) return [];
    const found: Violation[] = [];
    walk(file.syntax, (node) => {
      const text = problemOf(node);
      if (text !== null) found.push({ path: file.path, line: lineAt(file, node.start), text });
    });
    return found;
  });
}
