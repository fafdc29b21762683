/**
 * A secret that a person types: it is not shown, and it is not an argument, which other users of the machine could
 * list.
 */

/** The part of a terminal that is needed to read without echo. */
export interface HiddenInput extends NodeJS.ReadableStream {
  setRawMode?(isRaw: boolean): unknown;
}

const [interrupt, end, backspace, erase] = ['\u0003', '\u0004', '\b', '\u007f'];

/**
 * @param ask prints the question: called once typing is hidden
 * @returns one line; null when the person gives up or types more than `charactersMax`
 */
export function readHidden(input: HiddenInput, charactersMax: number, ask: () => void): Promise<string | null> {
  return new Promise((resolve) => {
    let typed: string[] = [];
    const finish = (line: string | null) => {
      input.off('data', onData);
      input.off('end', onEnd);
      input.setRawMode?.(false);
      input.pause();
      resolve(line);
    };
    const onEnd = () => finish(null);
    const onData = (chunk: Buffer | string) => {
      for (const key of chunk.toString()) {
        if (key === '\r' || key === '\n') return finish(typed.join(''));
        if (key === interrupt || key === end || typed.length > charactersMax) return finish(null);
        if (key === backspace || key === erase) typed = typed.slice(0, -1);
        else typed.push(key);
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
    input.setRawMode?.(true);
    ask();
    input.resume();
  });
}
