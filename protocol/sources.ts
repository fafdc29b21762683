import { z } from 'zod';
import { digestShape } from './digest.ts';
import { certificatesShape, noProxyShape, pathEntryShape, webAddressShape } from './network-path.ts';

/**
 * Where releases may come from besides the server, and the network path to the server. Nothing in this list is trusted;
 * a source can only delay.
 */
export const sourceKinds = ['neighbour', 'cache', 'cdn'] as const;

/** A copy of the server's `/releases`, e.g. `http://cache.site:8080/releases`. */
export const sourceShape = z.object({
  name: z.string().min(1).max(40),
  kind: z.enum(sourceKinds),
  url: webAddressShape,
});
export type Source = z.infer<typeof sourceShape>;

export const sourcesShape = z.object({
  /** Rises with each change. Older updaters took signed sources by it; this one takes them when they differ. */
  seq: z.int().min(0),
  /**
   * Asked for bundles in the order of the kinds, and in the order of this list within a kind; the server comes last.
   */
  releases: z.array(sourceShape).max(8),
  /** An HTTP proxy for everything; null: none. */
  proxy: webAddressShape.nullable(),
  /** Hosts that are reached without the proxy. */
  noProxy: noProxyShape.exactOptional(),
  ca: certificatesShape,
  /** The limit of one transfer in bytes per second; null: none. */
  rateBytesPerS: z.int().min(1_000).nullable(),
});
export type Sources = z.infer<typeof sourcesShape>;
/** The fields that a person names; the others stay as they are. */
export const namedSourcesShape = sourcesShape.partial();
export type NamedSources = z.infer<typeof namedSourcesShape>;

/** The origin of the last change of the sources. */
export const sourceOrigins = ['targets', 'stick', 'page'] as const;

const settledShape = sourcesShape.extend({ origin: z.enum(sourceOrigins) });

/** updater/sources.json. */
export const sourcesFileShape = z.object({
  v: z.literal(1),
  current: settledShape,
  /** The former sources, until an answer over the current ones is verified. */
  previous: sourcesShape.nullable(),
  /** The path that last brought a verified answer: it is always tried, too. Absent: an older updater wrote this. */
  verified: pathEntryShape.exactOptional(),
  /**
   * The path over which set-up reached the server: always the last one. Only set-up writes it. Absent: the direct path.
   */
  setUp: pathEntryShape.exactOptional(),
  /** The signed sources that were taken last, and the metadata that they came from. */
  signed: z.object({ digest: digestShape, root: z.int().min(0), targets: z.int().min(0) }).exactOptional(),
});
export type SourcesFile = z.infer<typeof sourcesFileShape>;

export const noSources: Sources = {
  seq: 0,
  releases: [],
  proxy: null,
  ca: { pins: [], pem: [] },
  rateBytesPerS: null,
};
