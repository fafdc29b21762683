import { basename, dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { asideEnd } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { noteDamage } from '../outcome/damage-notes.ts';
import { consequenceInRun, consequenceOf } from '../record/when-damaged.ts';
import { recoveryTexts } from '../words/texts.ts';

/**
 * Reports once what was set aside since the previous run: a line in the log, an event for the server, and for a day a
 * notice in the status. A reported
 * file keeps a name with a number; the newest three of each are kept.
 */

const keptMax = 3;
/** Reports per run: a disk that damages everything must not fill the queue of events. */
const toldMax = 8;

export function tellOfDamage(appliance: Appliance): void {
  const { files, layout, clock, events, log } = appliance;
  const found = [layout.updater, layout.run, layout.root].flatMap((directory) =>
    files
      .list(directory)
      .filter((name) => name.endsWith(asideEnd))
      .map((name) => join(directory, name)),
  );
  for (const aside of found.slice(0, toldMax)) {
    const path = aside.slice(0, -asideEnd.length);
    const place = `${basename(dirname(path))}/${basename(path)}`;
    const what = whatItIs(files, aside);
    const kept = keep(files, path);
    const where = kept === null ? '' : recoveryTexts.keptAs(basename(kept));
    const consequence = (dirname(path) === layout.run ? consequenceInRun : consequenceOf)(basename(path));
    const text = recoveryTexts.wasDamaged(place, what, consequence, where);
    log(text);
    noteDamage(appliance, text);
    events.add(`damaged ${path} ${clock.bootId()} ${clock.monoMs()}`, { kind: 'note', text });
  }
}

function whatItIs(files: Files, path: string): string {
  const facts = files.stat(path);
  if (facts?.kind === 'file') return facts.size === 0 ? recoveryTexts.wasEmpty : recoveryTexts.saysNothing(facts.size);
  return facts?.kind === 'other'
    ? recoveryTexts.wasNoFile
    : recoveryTexts.wasKind(facts?.kind ?? recoveryTexts.nameWithoutFile);
}

/** @returns where it is kept now; null: the disk takes no change, so it is reported again */
function keep(files: Files, path: string): string | null {
  const nameOf = (age: number) => `${path}${asideEnd}-${age}`;
  try {
    files.removeTree(nameOf(keptMax));
    for (let age = keptMax - 1; age >= 1; age -= 1) {
      if (files.stat(nameOf(age)) !== null) files.rename(nameOf(age), nameOf(age + 1));
    }
    files.rename(`${path}${asideEnd}`, nameOf(1));
    files.syncDirectory(dirname(path));
    return nameOf(1);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return null;
  }
}
