import { type Evidence, evidenceLines } from '../../protocol/evidence.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { type CommandLine, say } from '../command-line.ts';
import { readHistory } from '../history.ts';
import { keptEvidence } from '../steps/kept-evidence.ts';
import { noStatus, readStatus } from './read-status.ts';

/** What only shows: read from the status and the history that the updater wrote. */

export function status(line: CommandLine): number {
  const found = readStatus(line);
  if (found === null) return noStatus(line);
  const slots = found.slots.map(
    (slot) =>
      `  ${slot.component.padEnd(8)} ${slot.slot.padEnd(8)} ${wordOf(slot.role).padEnd(10)} ${slot.version ?? '-'}`,
  );
  const trial = found.settings.shortened
    ? [`trial: ${found.settings.trialHealthyMs / 1000} s of healthy time (shortened by this appliance's own settings)`]
    : [];
  const sticks = (found.sticks ?? []).map((stick) => `on a stick: ${stick.path}: ${stick.text}`);
  const back = found.back?.refused ? [`no way back: ${found.back.refused.text}`] : [];
  const evidence = found.evidence === undefined ? [] : seenLines(found.evidence.version, found.evidence.seen);
  const text = [
    `${found.name} (${found.appliance ?? 'not claimed'}): ${wordOf(found.verdict.word)}`,
    found.why,
    ...slots,
    ...trial,
    ...back,
    ...evidence,
    ...sticks,
  ];
  return say(line, text.join('\n'), found);
}

function seenLines(version: string, seen: Evidence): string[] {
  return [`the failed trial of ${version}:`, ...evidenceLines(seen).map((line) => `  ${line}`)];
}

export function why(line: CommandLine): number {
  const found = readStatus(line);
  return found === null ? noStatus(line) : say(line, found.why, { why: found.why });
}

export function history(line: CommandLine): number {
  const lines = readHistory(line.files, line.layout);
  const text = lines.flatMap((one) => {
    // Only root can read it; who is not sees the history without it.
    const seen = keptEvidence(line.files, line.layout, one.tx);
    return [
      `${new Date(one.wallS * 1000).toISOString()}  ${one.component} ${one.from} -> ${one.to}  ${wordOf(one.outcome)}  ${one.text}`,
      ...(seen === null ? [] : evidenceLines(seen).map((text) => `    ${text}`)),
    ];
  });
  return say(line, text.length === 0 ? 'nothing was installed yet' : text.join('\n'), lines);
}

export function sources(line: CommandLine): number {
  const found = readStatus(line);
  if (found === null) return noStatus(line);
  const text = found.sources === undefined ? 'nothing is set: the server only' : JSON.stringify(found.sources);
  return say(line, text, { sources: found.sources ?? null });
}
