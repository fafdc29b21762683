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

/** A command of a chapter that is typed, and the last line that it promises: what stands behind its `#`. */
export interface PromisedStep {
  readonly line: number;
  readonly words: readonly string[];
  readonly promise: string;
}

/** The commands of one chapter (`## heading`), each with its promise. */
export function promisedSteps(text: string, heading: string): PromisedStep[] {
  const lines = text.split('\n');
  const begin = lines.indexOf(`## ${heading}`);
  const end = lines.findIndex((line, index) => index > begin && line.startsWith('## '));
  // Lines of other chapters are left empty, so that the numbers stay those of the file.
  const chapter = lines.map((line, index) => (begin >= 0 && index > begin && index < end ? line : ''));
  return shownCommands(chapter.join('\n')).map(({ line, words }) => {
    const last = chapter.findIndex((one, index) => index >= line - 1 && !one.endsWith('\\'));
    return { line, words, promise: /(?:^|\s)#\s*(.*)$/.exec(chapter[last] ?? '')?.[1]?.trim() ?? '' };
  });
}

/** `…` stands for whatever a machine prints there. */
export function keepsPromise(promise: string, printed: string): boolean {
  const plain = (part: string) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/\s+/g, '\\s+');
  return new RegExp(`^${promise.split('…').map(plain).join('.*')}$`).test(printed.trim());
}

/** What the checkout offers: npm scripts, and the commands that package.json names with their files. */
export interface Offered {
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
}

/** Words of npm that are no script's name. */
const ownWords = new Set(['install', 'ci', 'run']);

/** Why a shown command cannot work, or null. */
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
