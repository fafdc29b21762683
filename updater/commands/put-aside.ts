import { resolve } from 'node:path';
import { type CommandLine, fail, say, usage } from '../command-line.ts';
import { copyPutAside, type PutAside, PutAsideError, putAsideOf } from '../steps/put-aside-files.ts';

/** Lists the data that was put aside for older data, or copies one of them for a person. */
export function putAside(line: CommandLine, words: readonly string[]): number {
  const [tx, directory] = words;
  if (tx !== undefined && directory === undefined) return usage(line, 'put-aside needs a TX and a DIR, or neither');
  try {
    const kept = putAsideOf(line.files, line.layout);
    return tx === undefined || directory === undefined ? list(line, kept) : copy(line, kept, tx, resolve(directory));
  } catch (error) {
    if (error instanceof PutAsideError)
      return fail(line, error.code, error.message, 'Name another directory; what was put aside is as it was.');
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'EACCES' || error.code === 'EPERM')
      return fail(line, 'not-allowed', 'only root can read what was put aside', 'Run it as root.');
    const then = 'Look at that disk, or name another directory; what was put aside is as it was.';
    return fail(line, 'copy-failed', error.message, then);
  }
}

const bytesOf = ({ files }: PutAside) => files.reduce((sum, { bytes }) => sum + bytes, 0);
const words = (one: PutAside) => `${one.files.length} files, ${(bytesOf(one) / 1_000_000).toFixed(1)} MB`;

function list(line: CommandLine, kept: readonly PutAside[]): number {
  const lines = kept.map((one) => `${one.tx}  ${words(one)}, in ${one.path}`);
  return say(line, lines.length === 0 ? 'nothing is put aside' : lines.join('\n'), { putAside: kept });
}

function copy(line: CommandLine, kept: readonly PutAside[], tx: string, directory: string): number {
  const found = kept.find((one) => String(one.tx) === tx);
  if (found === undefined)
    return fail(line, 'not-put-aside', `nothing is put aside as ${tx}`, 'See holdfast-updater put-aside for what is.');
  copyPutAside(line.files, found, directory);
  const text = `${words(found)} of ${found.tx} were copied into ${directory}; what was put aside is as it was`;
  return say(line, text, { copied: found, directory });
}
