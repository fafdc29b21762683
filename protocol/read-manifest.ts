import { z } from 'zod';
import { type Manifest, manifestShape } from './manifest.ts';
import { manifestLimits } from './payload.ts';
import { shapeProblem } from './shape-problem.ts';
import { cut } from './text.ts';

/** The features that this version understands if a manifest names them under `critical`: none so far. */
const understood: ReadonlySet<string> = new Set();

/** Objects and lists in one manifest: it has at most 4 MiB, and an entry of a real one takes 40 bytes or more. */
const containersMax = 200_000;
/** Nesting of objects and lists: a real manifest has 6 levels. */
const depthMax = 32;

export type ManifestReading =
  | { readonly outcome: 'read'; readonly manifest: Manifest }
  /** Written for a newer reader: `needs` says what this one lacks. */
  | { readonly outcome: 'newer'; readonly needs: string }
  | { readonly outcome: 'unusable'; readonly why: string; readonly cause?: Error };

const headShape = z.object({ format: z.int().min(1), critical: z.array(z.string().max(60)).max(16).optional() });

/** Reads a manifest from its bytes, in bounded time and memory whatever they are. */
export function readManifest(bytes: Uint8Array): ManifestReading {
  const json = parseManifestJson(bytes);
  if (json.outcome === 'unusable') return json;
  const head = headShape.safeParse(json.value);
  if (head.success) {
    if (head.data.format > 1) return { outcome: 'newer', needs: `format ${head.data.format}` };
    const unknown = (head.data.critical ?? []).filter((name) => !understood.has(name));
    if (unknown.length > 0) return { outcome: 'newer', needs: unknown.join(', ') };
  }
  const parsed = manifestShape.safeParse(json.value);
  if (parsed.success) return { outcome: 'read', manifest: parsed.data };
  return { outcome: 'unusable', why: cut(shapeProblem(parsed.error), 200), cause: parsed.error };
}

export type ManifestJson =
  | { readonly outcome: 'parsed'; readonly value: unknown }
  | { readonly outcome: 'unusable'; readonly why: string; readonly cause?: Error };

/** The JSON of a manifest of any origin: UTF-8 without a byte order mark, within limits of size and depth. */
export function parseManifestJson(bytes: Uint8Array): ManifestJson {
  if (bytes.length > manifestLimits.manifestBytesMax) {
    return { outcome: 'unusable', why: `it has ${bytes.length} bytes, ${manifestLimits.manifestBytesMax} are allowed` };
  }
  const excess = excessOf(bytes);
  if (excess !== null) return { outcome: 'unusable', why: excess };
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { outcome: 'parsed', value: JSON.parse(text) };
  } catch (cause) {
    // A SyntaxError of the parser, or the TypeError of a decoder that met bytes other than UTF-8.
    if (cause instanceof SyntaxError || cause instanceof TypeError) {
      return { outcome: 'unusable', why: 'it is not JSON in UTF-8', cause };
    }
    throw cause;
  }
}

const [quote, backslash, openList, closeList, openObject, closeObject] = Buffer.from('"\\[]{}');

/** Counts what a parser would have to build, before it does: depth and number cost it far more than bytes. */
function excessOf(bytes: Uint8Array): string | null {
  let depth = 0;
  let containers = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (isText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    else if (byte === openList || byte === openObject) {
      depth += 1;
      containers += 1;
      if (depth > depthMax) return `it is nested more than ${depthMax} deep`;
      if (containers > containersMax) return `it has more than ${containersMax} entries`;
    } else if (byte === closeList || byte === closeObject) depth -= 1;
  }
  return null;
}
