import { helpTexts } from '../words/texts.ts';

/** How each command is called and what it does: the help for all commands, and for one. */

interface CommandHelp {
  /** Each way to call it, and what that does. */
  readonly calls: readonly (readonly [call: string, does: string])[];
  /** Words that may follow the command; absent: none. */
  readonly wordsMax?: number;
  /** The word that it needs; absent: none. */
  readonly needs?: string;
  /** More than fits on one line. */
  readonly more?: string;
}

/** In the order of the help text. */
const commands: Readonly<Record<string, CommandHelp>> = {
  setup: {
    calls: [
      [
        'setup --server URL',
        [
          helpTexts.setupDoes,
          helpTexts.setupFactory,
          helpTexts.setupClaim,
          helpTexts.setupNewIdentity,
          helpTexts.setupProxy,
          helpTexts.setupProxyFile,
        ].join('\n'),
      ],
      ['setup --new-pin', helpTexts.setupNewPin],
    ],
    more: helpTexts.setupMore,
  },
  run: { calls: [['run', helpTexts.runDoes]] },
  status: {
    calls: [['status', helpTexts.statusDoes]],
    more: helpTexts.unknownMore,
  },
  why: {
    calls: [['why', helpTexts.whyDoes]],
    more: helpTexts.unknownMore,
  },
  plan: {
    wordsMax: 1,
    calls: [
      ['plan [FILE]', helpTexts.planDoes],
      ['plan --rollback [--data-age AGE]', helpTexts.planBackDoes],
    ],
  },
  check: {
    calls: [['check', helpTexts.checkDoes]],
    more: helpTexts.checkMore,
  },
  install: {
    wordsMax: 1,
    needs: helpTexts.installNeeds,
    calls: [['install FILE', helpTexts.installDoes]],
    more: helpTexts.installMore,
  },
  rollback: {
    calls: [['rollback [--data-age AGE]', helpTexts.rollbackDoes]],
    more: helpTexts.rollbackMore,
  },
  'put-aside': {
    wordsMax: 2,
    calls: [['put-aside [TX DIR]', helpTexts.putAsideDoes]],
  },
  retry: {
    wordsMax: 1,
    calls: [['retry [VERSION]', helpTexts.retryDoes]],
  },
  history: { calls: [['history', helpTexts.historyDoes]], more: helpTexts.historyMore },
  reset: {
    wordsMax: 1,
    calls: [['reset NAME', helpTexts.resetDoes]],
  },
  sources: {
    wordsMax: 1,
    calls: [['sources [FILE]', helpTexts.sourcesDoes]],
  },
  page: { calls: [['page', helpTexts.pageDoes]] },
};

export const commandNames: readonly string[] = Object.keys(commands);

const options = helpTexts.options;

const callWidth = 34;

function callLines([call, does]: readonly [string, string]): string[] {
  const [first = '', ...rest] = does.split('\n');
  return [`  ${call.padEnd(callWidth)}${first}`, ...rest.map((line) => `  ${''.padEnd(callWidth)}${line}`)];
}

function isCommand(word: string | undefined): word is string {
  return word !== undefined && Object.hasOwn(commands, word);
}

/** @returns the first word that the command does not take; undefined: there is none, or the command is unknown */
export function wordTooMany([command, ...rest]: readonly string[]): string | undefined {
  return isCommand(command) ? rest[commands[command]?.wordsMax ?? 0] : undefined;
}

/** @returns the required word, if it is missing */
export function wordMissing([command, first]: readonly string[]): string | undefined {
  return isCommand(command) && first === undefined ? commands[command]?.needs : undefined;
}

/** @param word the command that is asked about; without one, or with an unknown one: all commands */
export function helpText(word: string | undefined): string {
  const of = isCommand(word) ? commands[word] : undefined;
  if (of !== undefined) {
    const [calls, more] = [of.calls.flatMap(callLines), of.more === undefined ? [] : ['', `  ${of.more}`]];
    return ['holdfast-updater', ...calls, ...more, '', options].join('\n');
  }
  const all = Object.values(commands).flatMap(({ calls }) => calls.flatMap(callLines));
  return [helpTexts.title, '', ...all, '', options].join('\n');
}

/** The help that a wrong call refers to. */
export function helpFor({ words }: { readonly words: readonly string[] }): string {
  const [word] = words;
  return `holdfast-updater ${isCommand(word) ? `${word} ` : ''}--help`;
}
