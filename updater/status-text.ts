import type { Status } from '../protocol/status.ts';
import { wordOf } from '../protocol/wire-enum.ts';

/** What `holdfast-updater status` prints. */
export function statusText(found: Status): string {
  const slots = found.slots.map(
    (slot) =>
      `  ${slot.component.padEnd(8)} ${slot.slot.padEnd(8)} ${wordOf(slot.role).padEnd(10)} ${slot.version ?? '-'}`,
  );
  const trial = found.settings.shortened
    ? [`trial: ${found.settings.trialHealthyMs / 1000} s of healthy time (shortened by this appliance's own settings)`]
    : [];
  const sticks = (found.sticks ?? []).map((stick) => `on a stick: ${stick.path}: ${stick.text}`);
  return [
    `${found.name} (${found.appliance ?? 'not claimed'}): ${wordOf(found.verdict.word)}`,
    found.why,
    ...slots,
    ...trial,
    ...(found.back?.refused ? [`no way back: ${found.back.refused.text}`] : []),
    ...sticks,
  ].join('\n');
}
