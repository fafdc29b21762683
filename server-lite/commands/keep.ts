import { dirname, resolve } from 'node:path';
import { printable } from '../../protocol/printable.ts';
import { makeBackup } from '../backup/make-backup.ts';
import { restoreBackup } from '../backup/restore.ts';
import { restoredText } from '../backup/restored-text.ts';
import { freeSpaceAt, isDiskFull } from '../disk-space.ts';
import { replaceToken } from '../replace-token.ts';
import { diskFullError } from '../start-error.ts';
import { commandTexts } from '../texts.ts';
import { releaseVersion } from '../version.ts';
import { writeTokenFile } from './token-file.ts';

/** `backup`, `restore`, `token`: what is done to a data directory, whether the server runs or not. */

/** @throws StartError `disk-full` */
async function writingBelow<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isDiskFull(error, () => freeSpaceAt(directory)) ? diskFullError(error, directory) : error;
  }
}

export async function replace(options: { data: string; tokenFile?: string; json?: boolean }): Promise<void> {
  const file = options.tokenFile === undefined ? null : resolve(options.tokenFile);
  const show = async (shown: object, plain: string) =>
    writtenOut(`${options.json ? JSON.stringify(shown) : commandTexts.previousToken(plain)}\n`);
  await replaceToken(resolve(options.data), async (token) => {
    if (file === null) await show({ token }, commandTexts.tokenIs(token));
    else writeTokenFile(file, token, commandTexts.nothingReplaced);
  });
  if (file !== null) await show({ tokenFile: file }, commandTexts.tokenIsIn(file));
}

/** When the text is out. If it cannot be written, the program ends (main.ts), and what waits for it does not happen. */
function writtenOut(text: string): Promise<void> {
  return new Promise((written) => {
    process.stdout.write(printable(text), (error) => {
      if (!error) written();
    });
  });
}

export async function backup(options: { data: string; out: string; replace?: boolean; json?: boolean }): Promise<void> {
  const out = resolve(options.out);
  const { file, bytes, contents } = await writingBelow(dirname(out), () => {
    const [data, replace] = [resolve(options.data), options.replace === true];
    return makeBackup({ data, out, replace, version: releaseVersion(), nowMs: Date.now() });
  });
  const releases = contents.releases.map(({ component, version }) => `${component} ${version}`);
  const bundles = releases.length === 0 ? '' : commandTexts.backupWithoutBundles(releases.join(', '));
  const plain = commandTexts.backupMade(file, bytes, bundles);
  process.stdout.write(printable(`${options.json ? JSON.stringify({ file, bytes, releases }) : plain}\n`));
}

export async function restore(options: {
  data: string;
  from: string;
  replace?: boolean;
  json?: boolean;
}): Promise<void> {
  const from = resolve(options.from);
  const data = resolve(options.data);
  const restored = await writingBelow(dirname(data), () => {
    return restoreBackup({ data, from, replace: options.replace === true, nowMs: Date.now() });
  });
  process.stdout.write(printable(`${options.json ? JSON.stringify(restored) : restoredText(data, restored)}\n`));
}
