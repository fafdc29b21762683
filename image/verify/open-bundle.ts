import { type FileHandle, open } from 'node:fs/promises';
import { blockBytes, readBundleHeader } from '../../protocol/bundle-header.ts';
import { manifestLimits } from '../../protocol/payload.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { ImageError } from '../errors.ts';

/** Bytes within the file. */
export interface Place {
  readonly position: number;
  readonly size: number;
}

/** The parts of a bundle, read but not yet trusted. */
export interface OpenedBundle {
  readonly roots: readonly { readonly version: number; readonly bytes: Buffer }[];
  readonly targets: Buffer;
  /** null: a bundle of metadata alone. */
  readonly release: { readonly manifestFrame: Buffer; readonly patches: Place | null; readonly chunks: Place } | null;
}

/** Every root, the targets, the manifest, patches, the chunks. */
const entriesMax = metadataLimits.rootsPerWalkMax + 4;
const trailerBlocks = 2;

export function damaged(what: string, cause?: unknown): ImageError {
  return new ImageError('bundle-damaged', `the bundle is not whole: ${what}`, 'build it anew, or copy it again', {
    cause,
  });
}

/** Opens a bundle for as long as `work` takes. @throws ImageError `bundle-damaged` */
export async function withBundle<Result>(
  path: string,
  work: (bundle: OpenedBundle, read: ReadPlace) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw damaged(`${path} can not be read`, cause);
  });
  try {
    const read: ReadPlace = (place) => readPlace(file, place);
    return await work(await readParts(file, read), read);
  } finally {
    await file.close();
  }
}

export type ReadPlace = (place: Place) => Promise<Buffer>;

async function readPlace(file: FileHandle, { position, size }: Place): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  for (let filled = 0; filled < size; ) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, position + filled);
    if (bytesRead === 0) throw damaged('it ends too early');
    filled += bytesRead;
  }
  return bytes;
}

async function readParts(file: FileHandle, read: ReadPlace): Promise<OpenedBundle> {
  const entries = await readEntries((await file.stat()).size, read);
  const names = [...entries.keys()];
  const rootNames = names.filter((name, index) => name === `metadata/${index + 1}.root.json`);
  if (rootNames.length === 0) throw damaged('it carries no root of trust');
  const rest = names.slice(rootNames.length).join(' ');
  const metadataOnly = 'metadata/targets.json';
  const withRelease = [`${metadataOnly} manifest.json.zst chunks`, `${metadataOnly} manifest.json.zst patches chunks`];
  if (rest !== metadataOnly && !withRelease.includes(rest)) {
    throw damaged('it has other entries than belong there, or in another order');
  }
  const part = async (name: string, sizeMax: number): Promise<Buffer> => {
    const place = placeOf(entries, name);
    if (place.size > sizeMax) throw damaged(`its ${name} has ${place.size} bytes, more than ${sizeMax}`);
    return read(place);
  };
  const roots = [];
  for (const [index, name] of rootNames.entries()) {
    roots.push({ version: index + 1, bytes: await part(name, metadataLimits.rootBytesMax) });
  }
  const targets = await part(metadataOnly, metadataLimits.targetsBytesMax);
  if (rest === metadataOnly) return { roots, targets, release: null };
  const manifestFrame = await part('manifest.json.zst', manifestLimits.manifestFrameBytesMax);
  const patches = entries.get('patches') ?? null;
  return { roots, targets, release: { manifestFrame, patches, chunks: placeOf(entries, 'chunks') } };
}

function placeOf(entries: ReadonlyMap<string, Place>, name: string): Place {
  const place = entries.get(name);
  if (place === undefined) throw damaged(`it has no ${name}`);
  return place;
}

/** Every header, down to the last bit, and nothing but zeros between the entries and behind them. */
async function readEntries(bytes: number, read: ReadPlace): Promise<Map<string, Place>> {
  const entries = new Map<string, Place>();
  const requireZeros = async (place: Place) => {
    if ((await read(place)).some((byte) => byte !== 0)) throw damaged(`something is hidden at byte ${place.position}`);
  };
  for (let position = 0; entries.size <= entriesMax; ) {
    const block = await read({ position, size: blockBytes });
    if (block.every((byte) => byte === 0)) {
      if (bytes !== position + trailerBlocks * blockBytes) throw damaged('something is wrong at its end');
      await requireZeros({ position, size: bytes - position });
      return entries;
    }
    const header = readBundleHeader(block);
    if (header === null) throw damaged(`the header at byte ${position} is not one of a plain file`);
    const { name, size } = header;
    if (entries.has(name)) throw damaged(`it has two entries ${JSON.stringify(name)}`);
    position += blockBytes;
    if (position + size > bytes) throw damaged('it ends too early');
    entries.set(name, { position, size });
    const padding = (blockBytes - (size % blockBytes)) % blockBytes;
    await requireZeros({ position: position + size, size: padding });
    position += size + padding;
  }
  throw damaged('it has too many entries');
}
