import { z } from 'zod';

/** Where releases may come from beside the server, and the way out to it. Nobody in this list is trusted: it can delay. */
export const sourceKinds = ['neighbour', 'cache', 'cdn'] as const;

const addressShape = z.url({ protocol: /^https?$/ }).max(300);

/** A copy of the server's `/releases`, e.g. `http://cache.site:8080/releases`. */
export const sourceShape = z.object({
  name: z.string().min(1).max(40),
  kind: z.enum(sourceKinds),
  url: addressShape,
});
export type Source = z.infer<typeof sourceShape>;

export const sourcesShape = z.object({
  /** Rises with each change, whoever makes it: a lower one changes nothing. */
  seq: z.int().min(0),
  /** Asked for bundles in the order of the kinds, and of this list within one; the server comes last. */
  releases: z.array(sourceShape).max(8),
  /** An HTTP proxy for everything; null: none. */
  proxy: addressShape.nullable(),
  ca: z.object({
    /** SHA-256 of the public key (SPKI, DER) of a certificate that must be in the chain; none: any trusted chain. */
    pins: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(8),
    /** Certificates of private authorities, PEM, beside the ones that the system trusts. */
    pem: z.array(z.string().max(8_000)).max(4),
  }),
  /** Bytes a second of one transfer; null: as fast as the line is. */
  rateBytesPerS: z.int().min(1_000).nullable(),
});
export type Sources = z.infer<typeof sourcesShape>;
/** What a person names of them; the rest stays as it is. */
export const namedSourcesShape = sourcesShape.partial();
export type NamedSources = z.infer<typeof namedSourcesShape>;

/** Who changed the sources last. */
export const sourceOrigins = ['targets', 'stick', 'page'] as const;
export type SourceOrigin = (typeof sourceOrigins)[number];

const settledShape = sourcesShape.extend({ origin: z.enum(sourceOrigins) });

/** updater/sources.json. The old ones are kept until the new ones have answered. */
export const sourcesFileShape = z.object({
  v: z.literal(1),
  current: settledShape,
  previous: sourcesShape.nullable(),
});
export type SourcesFile = z.infer<typeof sourcesFileShape>;

export const noSources: Sources = {
  seq: 0,
  releases: [],
  proxy: null,
  ca: { pins: [], pem: [] },
  rateBytesPerS: null,
};
