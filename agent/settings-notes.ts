import Sqlite from 'better-sqlite3';
import { sha256 } from '../protocol/digest.ts';
import { eventTextMax } from '../protocol/event.ts';
import { dutyTextMax, notesMax } from '../protocol/health.ts';
import { cut } from '../protocol/text.ts';
import type { Log } from './effects/effects.ts';
import type { Outbox } from './outbox.ts';
import { agentTexts } from './texts.ts';

const toldWord = 'settings-told';

/**
 * Tells the server what is wrong with the settings, once for each change of that: also when nothing is wrong any more.
 * @returns what a health answer says of it
 */
export function tellSettings(outbox: Outbox, problems: readonly string[], log: Log): string[] {
  noteChange(outbox, problems, log);
  return problems.slice(0, notesMax).map((problem) => cut(problem, dutyTextMax));
}

function noteChange(outbox: Outbox, problems: readonly string[], log: Log): void {
  try {
    const told = outbox.words.get(toldWord);
    const digest = problems.length === 0 ? '' : sha256(JSON.stringify(problems));
    if (digest === (told ?? '')) return;
    const text = problems.length === 0 ? agentTexts.settingsHold : agentTexts.settingsNote(problems.join('; '));
    outbox.database
      .transaction(() => {
        outbox.append({ kind: 'note', text: cut(text, eventTextMax) });
        outbox.words.set(toldWord, digest);
      })
      .immediate();
  } catch (error) {
    // The log and the checks have it; the next start tries again.
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    log.error({ code: error.code }, agentTexts.settingsNotTold);
  }
}
