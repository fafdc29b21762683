import { z } from 'zod';
import { stepTowards } from '../../protocol/bounded-step.ts';
import type { Settings } from '../store/settings.ts';
import { readStored } from '../store/stored-json.ts';

/** Versions of the two roles that the server signs itself. */
export interface OnlineVersions {
  readonly snapshot: number;
  readonly timestamp: number;
}

/** When metadata that was signed offline expires. */
export interface MetadataEnd {
  readonly role: 'root' | 'targets';
  readonly version: number;
  readonly endsMs: number;
}

/** The last attempt to sign the server's own metadata, and its result. */
export interface LastSigning {
  readonly triedMs: number;
  /** Why it could not be signed or written; null: it worked. */
  readonly failure: string | null;
}

const versionsName = 'metadata-versions';
const versionsShape = z.object({ snapshot: z.int().min(0), timestamp: z.int().min(0) });

/** What is known about the metadata beside its files: signed versions, expiry, and the result of the last signing. */
export interface MetadataBoard {
  ends: readonly MetadataEnd[];
  last: LastSigning | null;
  /** When each appliance's report last raised the versions; at most one entry an appliance. */
  readonly raisedAtMs: Map<string, number>;
  /** The highest signed ones, by this server or by the one that its data comes from. */
  versions(): OnlineVersions;
  /** Makes the next versions higher than these. */
  raise(to: OnlineVersions, stepMax: number): void;
}

export function metadataBoardOf(settings: Settings): MetadataBoard {
  const versions = (): OnlineVersions => {
    const text = settings.read(versionsName);
    const stored = text === null ? null : readStored(versionsShape, text);
    return stored?.outcome === 'read' ? stored.value : { snapshot: 0, timestamp: 0 };
  };
  return {
    ends: [],
    last: null,
    raisedAtMs: new Map(),
    versions,
    raise: (to, stepMax) => {
      const before = versions();
      const snapshot = stepTowards(before.snapshot, to.snapshot, stepMax);
      const timestamp = stepTowards(before.timestamp, to.timestamp, stepMax);
      if (snapshot === before.snapshot && timestamp === before.timestamp) return;
      settings.write(versionsName, JSON.stringify({ snapshot, timestamp }));
    },
  };
}
