import { inOneLine } from '../protocol/printable.ts';
import { commandTexts } from './texts.ts';

/** Reports a wrong call in commander's way, and where to look; with --json in one line, like every other error. */
export function usageErrorOf(program: string, argv: readonly string[]) {
  return (text: string, write: (text: string) => void): void => {
    if (!argv.includes('--json')) {
      write(`${text.trimEnd()}\n${commandTexts.usageNext(program)}\n`);
      return;
    }
    const message = inOneLine(text.replace(/^error: /, '').trim());
    write(`${JSON.stringify({ code: 'usage', message, next: commandTexts.usageNext(program) })}\n`);
  };
}
