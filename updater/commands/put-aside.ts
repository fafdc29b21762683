import { resolve } from 'node:path';
import { inLines } from '../../protocol/printable.ts';
import { type CommandLine, fail, say, usage } from '../effects/command-line.ts';
import { copyPutAside, type PutAside, PutAsideError, putAsideOf } from '../outcome/put-aside-files.ts';
import { commandTexts } from '../words/texts.ts';

/** Lists the data that was put aside for older data, or copies one set of it for a person. */
export function putAside(line: CommandLine, words: readonly string[]): number {
  const [tx, directory] = words;
  if (tx !== undefined && directory === undefined) return usage(line, commandTexts.putAsideWords);
  try {
    const kept = putAsideOf(line.files, line.layout);
    return tx === undefined || directory === undefined ? list(line, kept) : copy(line, kept, tx, resolve(directory));
  } catch (error) {
    if (error instanceof PutAsideError) return fail(line, error.code, error.message, commandTexts.anotherDirectory);
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'EACCES' || error.code === 'EPERM')
      return fail(line, 'not-allowed', commandTexts.onlyRootReads, commandTexts.runAsRoot);
    const then = commandTexts.lookAtDisk;
    return fail(line, 'copy-failed', error.message, then);
  }
}

const bytesOf = ({ files }: PutAside) => files.reduce((sum, { bytes }) => sum + bytes, 0);
const words = (one: PutAside) => commandTexts.size(one.files.length, (bytesOf(one) / 1_000_000).toFixed(1));

function list(line: CommandLine, kept: readonly PutAside[]): number {
  const lines = kept.map((one) => commandTexts.putAsideLine(one.tx, words(one), one.path));
  return say(line, lines.length === 0 ? commandTexts.nothingPutAside : inLines(lines), kept);
}

function copy(line: CommandLine, kept: readonly PutAside[], tx: string, directory: string): number {
  const found = kept.find((one) => String(one.tx) === tx);
  if (found === undefined)
    return fail(line, 'not-put-aside', commandTexts.nothingPutAsideAs(tx), commandTexts.nothingPutAsideAsNext);
  copyPutAside(line.files, found, directory);
  const text = commandTexts.putAsideCopied(words(found), found.tx, directory);
  return say(line, text, { copied: found, directory });
}
