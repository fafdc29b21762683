/** Keys that are remembered; anybody can send as many as they like. */
const keysMax = 64;

/** A key that a request named and that this server does not know. Nothing of it is verified. */
export interface UnknownKey {
  readonly keyId: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly times: number;
  readonly address: string;
}

export interface UnknownKeys {
  note(keyId: string, address: string, nowMs: number): void;
  /** Newest request first. */
  list(): UnknownKey[];
  /** It has been enrolled. */
  forget(keyId: string): void;
}

/** Unknown keys are kept in memory only, so that nobody can fill the disk with them. */
export function unknownKeysBoard(): UnknownKeys {
  const keys = new Map<string, UnknownKey>();
  return {
    note: (keyId, address, nowMs) => {
      const known = keys.get(keyId);
      keys.delete(keyId);
      keys.set(keyId, {
        keyId,
        firstMs: known?.firstMs ?? nowMs,
        lastMs: nowMs,
        times: (known?.times ?? 0) + 1,
        address,
      });
      for (const oldest of keys.keys()) {
        if (keys.size <= keysMax) break;
        keys.delete(oldest);
      }
    },
    list: () => [...keys.values()].reverse(),
    forget: (keyId) => {
      keys.delete(keyId);
    },
  };
}
