import { commandTexts } from '../words/texts.ts';

/** The next step when nothing is found in the directory that was looked at, which the person may not have named. */
export function otherRoot(root: string): string {
  return commandTexts.otherRoot(root);
}
