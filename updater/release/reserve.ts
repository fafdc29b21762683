import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import { workDirectory } from './chunk-store.ts';

/** The rows that write, each with a file that holds its space until the row begins. */
const reservations = ['fetching', 'writing', 'snapped'] as const;
type Reservation = (typeof reservations)[number];

export interface ReservePlace {
  readonly files: Files;
  readonly layout: Layout;
  readonly tx: number;
  readonly log: (line: string) => void;
}

function pathOf({ layout, tx }: Omit<ReservePlace, 'log'>, row: Reservation): string {
  return join(workDirectory(layout, tx), `reserved.${row}`);
}

/**
 * Takes space away from everything else, such as the agent, before the first write of a transaction: space that was
 * free at its beginning must still be there when the agent has been stopped. May be repeated; if the file system cannot
 * reserve, the earlier check of free space is all there is.
 * @param bytes what each row will write
 * @throws ReleaseError `no-space`, `read-only`, `disk`
 */
export function reserveSpace(place: ReservePlace, bytes: Readonly<Partial<Record<Reservation, number>>>): void {
  const { files, layout, log } = place;
  try {
    for (const directory of [layout.work, workDirectory(layout, place.tx)]) files.makeDirectory(directory, 0o700);
    for (const row of reservations) {
      const wanted = bytes[row] ?? 0;
      const path = pathOf(place, row);
      if ((files.stat(path)?.size ?? 0) >= wanted) continue;
      files.removeTree(path);
      reserveOne(place, path, wanted);
      files.syncDirectory(workDirectory(layout, place.tx));
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EOPNOTSUPP') {
      log(releaseTexts.notReserved(error.message));
      return;
    }
    throw asReleaseError(error, releaseTexts.reservingSpace);
  }
}

function reserveOne({ files, layout }: ReservePlace, path: string, bytes: number): void {
  // ext4 gives all blocks that it has before it finds that they are not enough: nobody else could write meanwhile.
  const free = files.freeBytes(layout.work);
  if (free < bytes) throw new ReleaseError('no-space', releaseTexts.reservesMore(bytes, free));
  try {
    files.reserve(path, bytes);
  } catch (error) {
    files.unlink(path);
    throw error;
  }
}

/** Called when the row begins for which the space was kept. */
export function giveUpSpace(place: Omit<ReservePlace, 'log'>, row: Reservation): void {
  const path = pathOf(place, row);
  if (place.files.stat(path) === null) return;
  place.files.unlink(path);
  place.files.syncDirectory(workDirectory(place.layout, place.tx));
}
