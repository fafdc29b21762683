import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import type { RoleName } from '../../protocol/trust/tuf-metadata.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import type { TargetFile } from '../../protocol/trust/tuf-targets.ts';
import { isReached, type OpenedChange, type Quorum, quorumsOf } from './change.ts';
import type { ReadRoot, ReadTargets } from './read-metadata.ts';

/** Digits of a key id that people compare; TUF's ids are as long as a digest. */
const shortDigits = 16;

export function shortId(key: PublicKey): string {
  return tufKeyId(key).slice(0, shortDigits);
}

const roleWords: Readonly<Record<RoleName, string>> = {
  root: 'root (may change every key below)',
  targets: 'targets (may release, and name answer and operator keys)',
  snapshot: 'snapshot (the server: which targets are the newest)',
  timestamp: 'timestamp (the server: that it is alive)',
};

/** What whoever signs this change says yes to, one line a thing. */
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
    const needed = `${is.threshold} of ${is.keys.length} keys must sign`;
    const isSame = keys.length === 0 && was.threshold === is.threshold && was.keys.length === is.keys.length;
    if (isSame) return [];
    const formerly = `, it was ${was.threshold} of ${was.keys.length}`;
    return [`  ${roleWords[role]}:`, ...keys.map((line) => `    ${line}`), `    ${needed}${formerly}`];
  });
  return [
    `root ${after.version} follows root ${before.version}:`,
    ...(changes.length === 0 ? ['  the keys of all roles stay'] : changes),
    expiryLine(before.expires, after.expires),
  ];
}

function describeTargets(before: ReadTargets, after: ReadTargets): string[] {
  const fields = [
    ['answer keys (the server: answers and harmless orders)', 'answerKeys'],
    ['operator keys (all other orders)', 'operatorKeys'],
  ] as const;
  const keys = fields.flatMap(([words, field]) => {
    const lines = keyChanges(before.holdfast[field], after.holdfast[field]);
    return lines.length === 0 ? [] : [`  ${words}:`, ...lines.map((line) => `    ${line}`)];
  });
  const sources = [before, after].map(({ holdfast }) => JSON.stringify(holdfast.sources ?? null));
  const releases = releaseChanges(before.targets, after.targets);
  const lines = [
    ...keys,
    ...(sources[0] === sources[1] ? [] : [`  where appliances get releases from: ${sources[0]} becomes ${sources[1]}`]),
    ...releases.map((line) => `  ${line}`),
  ];
  return [
    `targets ${after.version} follow targets ${before.version}:`,
    ...(lines.length === 0 ? ['  releases and keys stay; only the signature is another'] : lines),
    expiryLine(before.expires, after.expires),
  ];
}

function expiryLine(before: Date, after: Date): string {
  const day = (date: Date) => date.toISOString().slice(0, 10);
  return `  good until ${day(after)}, before until ${day(before)}`;
}

function keyChanges(before: readonly PublicKey[], after: readonly PublicKey[]): string[] {
  const gone = before.filter((key) => !after.includes(key)).map((key) => `takes away the key ${shortId(key)}`);
  const fresh = after.filter((key) => !before.includes(key)).map((key) => `adds the key ${shortId(key)}`);
  return [...gone, ...fresh];
}

function releaseChanges(before: readonly TargetFile[], after: readonly TargetFile[]): string[] {
  const was = new Map(before.map((target) => [target.name, target]));
  const is = new Map(after.map((target) => [target.name, target]));
  const gone = before.filter(({ name }) => !is.has(name)).map(({ name }) => `revokes ${name}`);
  const fresh = after.flatMap(({ name, sha256, length }) => {
    const known = was.get(name);
    if (known?.sha256 === sha256 && known.length === length) return [];
    return [`${known === undefined ? 'releases' : 'puts another content under'} ${name} (SHA-256 ${sha256})`];
  });
  return [...gone, ...fresh];
}

/** Who signed so far, and who is still asked. */
export function describeSignatures(change: OpenedChange): string[] {
  return quorumsOf(change).map((quorum) => {
    const { role, asked, signed, threshold } = quorum;
    const have = `${role} metadata, as ${asked} asks: ${signed.length} of ${threshold} signatures`;
    return isReached(quorum) ? `${have}, enough` : `${have}; may sign: ${mayStillSign(quorum)}`;
  });
}

function mayStillSign({ unsigned }: Quorum): string {
  return unsigned.map(shortId).join(', ') || 'nobody';
}
