import { printable } from '../../protocol/printable.ts';
import { cut } from '../../protocol/text.ts';

/** What a person reads: one line a thing, at most 100 columns; everything else goes to the logs. */

const columnsMax = 100;
const timeColumns = 8;
const storyColumns = 56;

export interface Line {
  readonly text: string;
  /** How it was checked; with ✓ or ✗ in front. */
  readonly checked?: { readonly good: boolean; readonly how: string };
}

function formatLine(elapsedMs: number, { text, checked }: Line): string {
  const time = `${(elapsedMs / 1000).toFixed(1)} s`.padStart(timeColumns - 1).padEnd(timeColumns + 1);
  const mark = checked === undefined ? '' : `${checked.good ? '✓' : '✗'} ${checked.how}`;
  const left = checked === undefined ? text : text.padEnd(storyColumns);
  return cut(`${time}${left} ${mark}`.trimEnd(), columnsMax);
}

export class Screen {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  #startedMs = 0;
  #progress = false;
  lines = 0;

  constructor(write: (text: string) => void, isTerminal: boolean) {
    this.#write = write;
    this.#isTerminal = isTerminal;
  }

  /** The one line of the set-up; rewritten in place on a terminal. */
  progress(text: string): void {
    if (this.#isTerminal) this.#write(`\r\x1b[K${printable(text)}`);
    else if (!this.#progress) this.#write(`${printable(text)}\n`);
    this.#progress = true;
  }

  /** Set-up is over: the clock of the story starts. */
  begin(nowMs: number): void {
    if (this.#isTerminal && this.#progress) this.#write('\r\x1b[K');
    this.#startedMs = nowMs;
  }

  elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  tell(line: Line): void {
    this.print(formatLine(this.elapsedMs(), line));
  }

  print(text: string): void {
    this.lines += 1;
    this.#write(`${printable(cut(text, columnsMax))}\n`);
  }
}
