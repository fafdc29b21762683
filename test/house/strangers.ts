import { child, lineAt, type SourceFile, type SyntaxNode, textOf, type Violation, walk } from './source.ts';

/**
 * Root works below no directory of somebody else, except through a descriptor that was opened without following links and
 * whose owner was checked: the code that runs as root names such a place only to hold it, or for its last name.
 */

/** Of `layoutOf`: places of the agent's and the page's users, and names below them. */
const places = [
  'agent',
  'stateDb',
  'agentSettings',
  'outboxDb',
  'agentKeys',
  'agentCredentials',
  'agentFactory',
  'agentRun',
  'agentSocket',
  'page',
  'pin',
  'pinFailures',
  'uploads',
  'requests',
] as const;
/** The same in a path that somebody puts together. */
const names = /(^|\/)(agent|agent-factory|page|uploads|requests|agent\.sock|state\.db|outbox\.db)(\/|$)/;

/** They open it by descriptor, and check whose it is. */
const holders = new Set(['withDirectory', 'withDirectoryOrNone', 'holdDirectory']);
/** They take a name of it, and touch nothing. */
const namers = new Set(['basename', 'dirname']);
const joiners = new Set(['join', 'resolve']);

/** What runs as its own user, and what says where all is. */
const otherUsers = ['updater/page/'];

/** Where such a place is named otherwise, each with its reason. */
export const strangerExceptions: Readonly<
  Record<string, { readonly places: readonly string[]; readonly why: string }>
> = {
  'updater/watch/agent-health.ts': { places: ['agentSocket'], why: 'says how a disk without sockets knows it' },
  'updater/commands/request.ts': {
    places: ['requests'],
    why: "sets the time of the directory itself, whose parent is root's",
  },
  'updater/launch/count.ts': {
    places: ['agent', 'agentFactory'],
    why: 'tells the agent where its state is, and touches nothing there',
  },
  'updater/identity/places.ts': {
    places: ['agent', 'agentFactory', 'page', 'agentRun', 'requests'],
    why: "owner and mode of the directories themselves, whose parent is root's",
  },
  'updater/identity/settings.ts': {
    places: ['agent', 'requests'],
    why: "asks whose the directories themselves are, whose parent is root's",
  },
  'updater/set-up/set-pin.ts': { places: ['pin'], why: "page/ is root's since makeDirectories" },
  'updater/status/lasting-notices.ts': { places: ['page', 'pin'], why: "page/ is root's since putPlacesRight" },
  'updater/transaction/agent-places.ts': {
    places: ['agent', 'agentFactory', 'agentRun'],
    why: "owner and mode of the directories themselves, whose parent is root's, by descriptor",
  },
  'updater/requests/bring-file.ts': { places: ['uploads'], why: 'compares where a file lies, and says so' },
  'updater/requests/requests.ts': { places: ['uploads'], why: 'compares where a file lies' },
  'updater/requests/page-places.ts': { places: ['pin', 'pinFailures', 'uploads'], why: 'takes the last names of them' },
};

function isRootCode(file: SourceFile): boolean {
  return file.program === 'updater' && !otherUsers.some((folder) => file.path.startsWith(folder));
}

/** The place that `layout.agent`, `x.layout.agent` or `layout['agent']` names. */
function placeOf(node: SyntaxNode): string | null {
  if (node.type !== 'MemberExpression') return null;
  const object = child(node, 'object');
  const name = textOf(child(node, 'property'), 'name') ?? textOf(child(node, 'property'), 'value');
  const owner = textOf(object, 'name') ?? textOf(child(object ?? node, 'property'), 'name');
  return owner === 'layout' && name !== null && places.some((place) => place === name) ? name : null;
}

/** Places that are taken out of a layout by their names. */
function placesIn(node: SyntaxNode): string[] {
  const from = node.type === 'VariableDeclarator' ? child(node, 'init') : null;
  const pattern = from === null ? null : child(node, 'id');
  const isLayout = textOf(from, 'name') === 'layout' || textOf(child(from ?? node, 'property'), 'name') === 'layout';
  if (!isLayout || pattern?.type !== 'ObjectPattern' || !Array.isArray(pattern.properties)) return [];
  return pattern.properties.flatMap((property: SyntaxNode) => {
    const name = textOf(child(property, 'key'), 'name');
    return name !== null && places.some((place) => place === name) ? [name] : [];
  });
}

function calls(node: SyntaxNode | null, callees: ReadonlySet<string>): boolean {
  return node?.type === 'CallExpression' && callees.has(textOf(child(node, 'callee'), 'name') ?? '');
}

/** A path that is put together from a name of a stranger's. */
function builtName(node: SyntaxNode): string | null {
  if (!calls(node, joiners) || !Array.isArray(node.arguments)) return null;
  const words = node.arguments.map((argument: SyntaxNode) => textOf(argument, 'value') ?? '');
  return words.find((word) => names.test(word)) ?? null;
}

/** @param exceptions places that a file may name otherwise */
export function strangerViolations(
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, { readonly places: readonly string[] }>>,
): Violation[] {
  return files.filter(isRootCode).flatMap((file) => {
    const found: Violation[] = [];
    const allowed = exceptions[file.path]?.places ?? [];
    walk(file.syntax, (node, parent) => {
      const isHeld = calls(parent, holders) || calls(parent, namers);
      const place = placeOf(node);
      const named = [...(place !== null && !isHeld ? [place] : []), ...placesIn(node)];
      const built = builtName(node);
      for (const one of named.filter((name) => !allowed.includes(name)))
        found.push({ path: file.path, line: lineAt(file, node.start), text: `root works by the path of ${one}` });
      if (built !== null)
        found.push({ path: file.path, line: lineAt(file, node.start), text: `a path of ${built} is put together` });
    });
    return found;
  });
}
