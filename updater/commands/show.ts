import { type Evidence, evidenceLines } from '../../protocol/evidence.ts';
import { exitFailed } from '../../protocol/exit-status.ts';
import { inLines } from '../../protocol/printable.ts';
import type { Status } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { type CommandLine, say } from '../effects/command-line.ts';
import { readHistory, withoutGone } from '../outcome/history.ts';
import { keptEvidence } from '../outcome/kept-evidence.ts';
import { commandTexts } from '../words/texts.ts';
import { noStatus, readShownStatus, readStatus } from './read-status.ts';

/** Commands that only show: they read the status and the history that the updater wrote. */

export function status(line: CommandLine): number {
  const shown = readShownStatus(line);
  if (shown === null) return noStatus(line);
  const { status: found, old } = shown;
  const slots = found.slots.map(
    (slot) =>
      `  ${slot.component.padEnd(8)} ${slot.slot.padEnd(8)} ${wordOf(slot.role).padEnd(10)} ${slot.version ?? '-'}`,
  );
  const trial = found.settings.shortened ? [commandTexts.trial(found.settings.trialHealthyMs / 1000)] : [];
  const sticks = (found.sticks ?? []).map((stick) => commandTexts.onStick(stick.path, stick.text));
  const back = found.back?.refused ? [commandTexts.noWayBack(found.back.refused.text)] : [];
  const evidence = found.evidence === undefined ? [] : seenLines(found.evidence.version, found.evidence.seen);
  const text = [
    `${found.name} (${found.appliance ?? commandTexts.notClaimed}): ${old === null ? wordOf(found.verdict.word) : commandTexts.unknown}`,
    ...(old === null ? [found.why] : [old.sentence, commandTexts.saidThen(old.said)]),
    ...(found.notices ?? []),
    ...(found.agent.told ?? []),
    ...slots,
    ...trial,
    ...back,
    ...evidence,
    ...sticks,
  ];
  if (old === null) return say(line, inLines(text), found);
  const verdict = { word: 'unknown', sentence: old.sentence };
  say(line, inLines(text), { ...found, verdict, why: old.sentence, said: old.said });
  return exitFailed;
}

function seenLines(version: string, seen: Evidence): string[] {
  return [commandTexts.failedTrial(version), ...evidenceLines(seen).map((line) => `  ${line}`)];
}

export function why(line: CommandLine): number {
  const shown = readShownStatus(line);
  if (shown === null) return noStatus(line);
  const { why, notices = [], stopped } = shown.status;
  if (shown.old === null)
    return say(line, inLines([why, ...notices]), { why, notices, ...(stopped === undefined ? {} : { stopped }) });
  const { sentence, said } = shown.old;
  say(line, inLines([sentence, commandTexts.saidThen(said)]), { why: sentence, said, notices: [] });
  return exitFailed;
}

export function history(line: CommandLine): number {
  const lines = readHistory(line.files, line.layout).map((one) => withoutGone(line.files, line.layout, one));
  const text = lines.flatMap((one) => {
    // Only root can read it; other users see the history without it.
    const seen = keptEvidence(line.files, line.layout, one.tx);
    return [
      `${new Date(one.wallS * 1000).toISOString()}  ${one.component} ${one.from} -> ${one.to}  ${wordOf(one.outcome)}  ${one.text}`,
      ...(seen === null ? [] : evidenceLines(seen).map((text) => `    ${text}`)),
    ];
  });
  return say(line, text.length === 0 ? commandTexts.nothingInstalled : inLines(text), lines);
}

export function sources(line: CommandLine): number {
  const found = readStatus(line);
  if (found === null) return noStatus(line);
  return say(line, inLines(sourcesLines(found.sources)), { sources: found.sources ?? null });
}

const setBy: Readonly<Record<string, string>> = {
  targets: commandTexts.setByMetadata,
  stick: commandTexts.setByStick,
  page: commandTexts.setByPerson,
};

function sourcesLines(sources: Status['sources']): string[] {
  if (sources === undefined) return [commandTexts.noSourcesSet];
  const { origin, releases, proxy, pinned, rateBytesPerS, answered } = sources;
  const own = releases.map(({ name, kind, url }) => `  ${wordOf(kind)} ${name}: ${url}`);
  return [
    commandTexts.sourcesInOrder,
    ...own,
    commandTexts.serverItself,
    commandTexts.proxy(proxy ?? commandTexts.none),
    commandTexts.keysOfServer(pinned ? commandTexts.keysPinned : commandTexts.keysProven),
    commandTexts.rateIs(rateBytesPerS === null ? commandTexts.noLimit : commandTexts.rate(rateBytesPerS)),
    commandTexts.setBy(setBy[wordOf(origin)] ?? wordOf(origin)),
    ...(answered ? [] : [commandTexts.noAnswerYet]),
  ];
}
