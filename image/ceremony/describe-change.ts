import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import type { TargetFile } from '../../protocol/trust/tuf-targets.ts';
import { ceremonyTexts } from '../texts.ts';
import { isReached, type OpenedChange, type Quorum, quorumsOf } from './change.ts';
import type { ReadRoot, ReadTargets } from './read-metadata.ts';

/** Digits of a key id that people compare; TUF's ids are as long as a digest. */
const shortDigits = 16;

export function shortId(key: PublicKey): string {
  return tufKeyId(key).slice(0, shortDigits);
}

/** What a signer agrees to, one line for each thing. */
export function describeChange(change: OpenedChange): string[] {
  const { before, after } = change;
  return [
    ...(change.nextRoot === null ? [] : describeRoot(before.root, after.root)),
    ...(change.nextTargets === null ? [] : describeTargets(before.targets, after.targets)),
  ];
}

function describeRoot(before: ReadRoot, after: ReadRoot): string[] {
  const roles = ['root', 'targets', 'snapshot', 'timestamp'] as const;
  const changes = roles.flatMap((role) => {
    const [was, is] = [before.roles[role], after.roles[role]];
    const keys = keyChanges(was.keys, is.keys);
    const needed = ceremonyTexts.mustSign(is.threshold, is.keys.length);
    const isSame = keys.length === 0 && was.threshold === is.threshold && was.keys.length === is.keys.length;
    if (isSame) return [];
    const formerly = ceremonyTexts.mustSignFormerly(was.threshold, was.keys.length);
    return [`  ${ceremonyTexts.roles[role]}:`, ...keys.map((line) => `    ${line}`), `    ${needed}${formerly}`];
  });
  return [
    ceremonyTexts.rootFollows(after.version, before.version),
    ...(changes.length === 0 ? [ceremonyTexts.keysStay] : changes),
    expiryLine(before.expires, after.expires),
  ];
}

function describeTargets(before: ReadTargets, after: ReadTargets): string[] {
  const fields = [
    [ceremonyTexts.answerKeys, 'answerKeys'],
    [ceremonyTexts.operatorKeys, 'operatorKeys'],
  ] as const;
  const keys = fields.flatMap(([words, field]) => {
    const lines = keyChanges(before.holdfast[field], after.holdfast[field]);
    return lines.length === 0 ? [] : [`  ${words}:`, ...lines.map((line) => `    ${line}`)];
  });
  const sources = [before, after].map(({ holdfast }) => JSON.stringify(holdfast.sources ?? null));
  const releases = releaseChanges(before.targets, after.targets);
  const lines = [
    ...keys,
    ...(sources[0] === sources[1] ? [] : [ceremonyTexts.sourcesBecome(sources[0], sources[1])]),
    ...releases.map((line) => `  ${line}`),
  ];
  return [
    ceremonyTexts.targetsFollow(after.version, before.version),
    ...(lines.length === 0 ? [ceremonyTexts.onlySignature] : lines),
    expiryLine(before.expires, after.expires),
  ];
}

function expiryLine(before: Date, after: Date): string {
  const day = (date: Date) => date.toISOString().slice(0, 10);
  return ceremonyTexts.goodUntil(day(after), day(before));
}

function keyChanges(before: readonly PublicKey[], after: readonly PublicKey[]): string[] {
  const gone = before.filter((key) => !after.includes(key)).map((key) => ceremonyTexts.takesAwayKey(shortId(key)));
  const fresh = after.filter((key) => !before.includes(key)).map((key) => ceremonyTexts.addsKey(shortId(key)));
  return [...gone, ...fresh];
}

function releaseChanges(before: readonly TargetFile[], after: readonly TargetFile[]): string[] {
  const was = new Map(before.map((target) => [target.name, target]));
  const is = new Map(after.map((target) => [target.name, target]));
  const gone = before.filter(({ name }) => !is.has(name)).map(({ name }) => ceremonyTexts.revokes(name));
  const fresh = after.flatMap(({ name, sha256, length }) => {
    const known = was.get(name);
    if (known?.sha256 === sha256 && known.length === length) return [];
    return [ceremonyTexts.releases(known === undefined, name, sha256)];
  });
  return [...gone, ...fresh];
}

/** Who has signed so far, and whose signatures are still needed. */
export function describeSignatures(change: OpenedChange): string[] {
  return quorumsOf(change).map((quorum) => {
    const { role, asked, signed, threshold } = quorum;
    const have = ceremonyTexts.signatures(role, ceremonyTexts.askedRoots[asked], signed.length, threshold);
    return isReached(quorum) ? ceremonyTexts.enough(have) : ceremonyTexts.maySignStill(have, mayStillSign(quorum));
  });
}

function mayStillSign({ unsigned }: Quorum): string {
  return unsigned.map(shortId).join(', ') || ceremonyTexts.nobody;
}
