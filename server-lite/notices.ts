import { z } from 'zod';
import type { Core } from './core.ts';
import type { MetadataEnd } from './release/metadata-board.ts';
import { missingBundles } from './release/missing-bundles.ts';
import { ageText } from './rules/words.ts';
import { readStored } from './store/stored-json.ts';
import { logTexts } from './texts.ts';

/** Warns this long before metadata expires. */
const warnMs = 31 * 86_400_000;
/** Mentions a restore for this long. */
const restoredMs = 7 * 86_400_000;
/** So that both keys of two appliances are seen. */
const unknownKeysShown = 4;
/** Its agent's and its updater's. */
const keysOfAppliance = 2;
/** Mentions an appliance that used a foreign name for this long. */
const foreignMs = 86_400_000;
const foreignAuthoritiesShown = 3;
const missingShown = 3;

export const restoredName = 'restored';
const restoredShape = z.object({ atMs: z.number(), madeAtMs: z.number() });

function dayText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

const renewal: Readonly<Record<MetadataEnd['role'], string>> = {
  root: logTexts.renewRootNext,
  targets: logTexts.renewTargetsNext,
};

function endNotice({ role, version, endsMs }: MetadataEnd, nowMs: number): string[] {
  const which = logTexts.metadataOf(role, version);
  if (endsMs <= nowMs) {
    return [logTexts.metadataExpired(which, dayText(endsMs), renewal[role])];
  }
  return endsMs - nowMs > warnMs ? [] : [logTexts.metadataExpires(which, dayText(endsMs), renewal[role])];
}

function unknownKeysNotice(core: Core, nowMs: number): string[] {
  const keys = core.unknownKeys.list();
  if (keys.length === 0) return [];
  const shown = keys.slice(0, unknownKeysShown).map(({ keyId, lastMs, address }) => {
    return logTexts.unknownKey(keyId.slice(0, 12), address, ageText(nowMs - lastMs));
  });
  const more = keys.length > shown.length ? logTexts.andMore(keys.length - shown.length) : '';
  // Which of the keys belong together is known to nobody here.
  const least = Math.ceil(keys.length / keysOfAppliance);
  const who = keys.length === 1 ? logTexts.unknownKeySends : logTexts.unknownKeysSend(keys.length, least);
  return [logTexts.unknownKeys(who, shown.join('; '), more)];
}

function foreignAuthoritiesNotice(core: Core, nowMs: number): string[] {
  const asking = core.foreignAuthorities.list().filter(({ lastMs }) => nowMs - lastMs <= foreignMs);
  return [...new Set(asking.map(({ authority }) => authority))].slice(0, foreignAuthoritiesShown).map((authority) => {
    const those = asking.filter((one) => one.authority === authority);
    const first = core.appliances.find(those[0]?.appliance ?? '')?.name ?? logTexts.anAppliance;
    const who = those.length === 1 ? logTexts.oneCalls(first) : logTexts.manyCall(first, those.length - 1);
    return logTexts.foreignAuthority(who, authority);
  });
}

function restoredNotice(core: Core, nowMs: number): string[] {
  const text = core.settings.read(restoredName);
  const restored = text === null ? null : readStored(restoredShape, text);
  if (restored?.outcome !== 'read') return [];
  const { atMs, madeAtMs } = restored.value;
  if (nowMs - atMs > restoredMs) return [];
  return [logTexts.restored(dayText(atMs), dayText(madeAtMs), dayText(atMs + restoredMs))];
}

function missingNotice(core: Core): string[] {
  const missing = missingBundles(core, core.shelf);
  if (missing.length === 0) return [];
  const shown = missing.slice(0, missingShown).join(', ');
  return [logTexts.bundlesMissing(shown, missing.length - missingShown, core.shelf.bundles)];
}

/** What an operator must know about the server itself: one sentence each, the gravest first. Empty when all is well. */
export function noticesOf(core: Core): string[] {
  const nowMs = core.nowMs();
  const { ends, last } = core.metadata;
  const clock = core.clock.trouble();
  const disk = core.disk.trouble();
  const certificate = core.policy.certificateTrouble(nowMs);
  return [
    ...(clock === null ? [] : [clock.sentence]),
    ...(disk === null ? [] : [disk.sentence]),
    ...(certificate === null ? [] : [certificate]),
    ...ends.flatMap((end) => endNotice(end, nowMs)),
    ...(last?.failure ? [logTexts.metadataNotRenewed(last.failure)] : []),
    ...core.faults,
    ...core.shelf.lost(),
    ...missingNotice(core),
    ...restoredNotice(core, nowMs),
    ...unknownKeysNotice(core, nowMs),
    ...foreignAuthoritiesNotice(core, nowMs),
  ];
}
