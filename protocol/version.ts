import { z } from 'zod';

// SemVer 2.0.0 clause 9: an identifier of digits only has no leading zero.
const pattern =
  /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?$/;

/** A version by Semantic Versioning 2.0.0, without build metadata, at most 64 characters. */
export const versionShape = z
  .string()
  .max(64)
  .regex(pattern, 'a version is MAJOR.MINOR.PATCH, optionally with -pre.release');
export type Version = z.infer<typeof versionShape>;

function parts(version: string): { core: readonly number[]; pre: readonly string[] } {
  const match = pattern.exec(version);
  if (match === null) throw new RangeError(`not a semantic version: ${JSON.stringify(version.slice(0, 80))}`);
  return { core: [Number(match[1]), Number(match[2]), Number(match[3])], pre: match[4]?.split('.') ?? [] };
}

function comparePreRelease(a: readonly string[], b: readonly string[]): number {
  // SemVer 2.0.0 clause 11.3: a version without a pre-release is the higher one.
  if (a.length === 0 || b.length === 0) return Math.sign(b.length - a.length);
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const left = a[i];
    const right = b[i];
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const numeric = [left, right].map((part) => /^\d+$/.test(part));
    if (numeric[0] && numeric[1]) {
      // Without leading zeros, the longer number is the greater one.
      if (left.length !== right.length) return Math.sign(left.length - right.length);
      if (left !== right) return left < right ? -1 : 1;
    } else if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
    else if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Precedence by SemVer 2.0.0 clause 11: negative if `a` is older, positive if newer. Never compare as text. */
export function compareVersions(a: Version, b: Version): number {
  const left = parts(a);
  const right = parts(b);
  for (let i = 0; i < 3; i += 1) {
    const difference = (left.core[i] ?? 0) - (right.core[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return comparePreRelease(left.pre, right.pre);
}
