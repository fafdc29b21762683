/** A command that a document shows in a fenced `sh` block: its words, without comment. */
export interface ShownCommand {
  readonly line: number;
  readonly words: readonly string[];
}

/** The commands of every fenced `sh` block, one a line; a line that ends in a backslash goes on. */
export function shownCommands(text: string): ShownCommand[] {
  const found: ShownCommand[] = [];
  let isShell = false;
  let begun = '';
  let start = 0;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.startsWith('```')) {
      isShell = line.trim() === '```sh';
      continue;
    }
    if (!isShell) continue;
    if (begun === '') start = i + 1;
    begun += line.replace(/(^|\s)#.*$/, '').replace(/\\$/, ' ');
    if (line.endsWith('\\')) continue;
    const words = begun.split(/\s+/).filter((word) => word !== '');
    if (words.length > 0) found.push({ line: start, words });
    begun = '';
  }
  return found;
}

/** What the checkout offers: npm scripts, and the commands that package.json names with their files. */
export interface Offered {
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
}

/** Words of npm that are no script's name. */
const ownWords = new Set(['install', 'ci', 'run']);

/** Why a shown command can not work, or null. */
export function commandProblem(
  words: readonly string[],
  offered: Offered,
  exists: (path: string) => boolean,
): string | null {
  const [program, first = '', second = ''] = words;
  switch (program) {
    case 'npm': {
      const script = first === 'run' ? second : first;
      return ownWords.has(script) || script in offered.scripts ? null : `npm has no script ${script}`;
    }
    case 'npx': {
      const target = offered.bin[first];
      if (target === undefined) return `package.json names no command ${first}`;
      return exists(target) ? null : `${first} is ${target}, which does not exist`;
    }
    case 'node':
      return exists(first) ? null : `${first} does not exist`;
    default:
      return `${program ?? ''} is not a command of this repository`;
  }
}

/** The words of an `npx` command that name what it does: up to the first option or value (capitals, digits, paths). */
export function subcommandOf(words: readonly string[]): { bin: string; path: readonly string[] } | null {
  if (words[0] !== 'npx' || words[1] === undefined) return null;
  const rest = words.slice(2);
  const end = rest.findIndex((word) => !/^[a-z]+(-[a-z]+)*$/.test(word));
  return { bin: words[1], path: end === -1 ? rest : rest.slice(0, end) };
}
