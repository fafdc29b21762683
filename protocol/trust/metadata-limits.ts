/** Limits on metadata, applied before a byte of it is parsed. */
export const metadataLimits = {
  /** A root names a handful of keys (about 3 KiB); it must also fit the enrol answer. */
  rootBytesMax: 64 * 1024,
  timestampBytesMax: 16 * 1024,
  /** A snapshot names one file. */
  snapshotBytesMax: 64 * 1024,
  /** About 180 bytes per release: {@link metadataLimits.targetsMax} releases, and room for future fields. */
  targetsBytesMax: 1024 * 1024,
  targetsMax: 4_096,
  /** Keys, signatures and file names in one role: limits the signature checks that a stranger can cause. */
  entriesMax: 64,
  /** New roots in one walk (TUF 5.3.3 asks for a limit): a root a month for twenty years. */
  rootsPerWalkMax: 256,
} as const;
