import { readHidden } from '../../protocol/hidden-line.ts';

/** Input for a command besides its arguments, which every user of the machine can list. */
export interface StandardInput {
  readonly isTerminal: boolean;
  /** All of it, up to `bytesMax`. */
  readAll(bytesMax: number): Promise<string>;
  /** A line that is not shown, typed after `ask` has put the question; null: nobody types one. */
  readHidden(charactersMax: number, ask: () => void): Promise<string | null>;
}

async function readAll(bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of process.stdin) {
    parts.push(Buffer.from(part));
    bytes += parts.at(-1)?.length ?? 0;
    if (bytes >= bytesMax) break;
  }
  return Buffer.concat(parts).subarray(0, bytesMax).toString('utf8');
}

export const standardInput: StandardInput = {
  isTerminal: process.stdin.isTTY === true,
  readAll,
  readHidden: (charactersMax, ask) => readHidden(process.stdin, charactersMax, ask),
};
