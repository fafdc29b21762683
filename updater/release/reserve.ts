import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { workDirectory } from './chunk-store.ts';
import { asReleaseError } from './release-error.ts';

/** The rows that write, each with a file that holds its space until it begins. */
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
 * Takes space away from everybody else, the agent for one, before the first write of a transaction: what was asked at its
 * begin must still be there when the agent has been stopped. May be repeated; where the file system can not reserve, what
 * is free was checked, and that is all.
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
      log(`no space is reserved, because the file system can not: ${error.message}`);
      return;
    }
    throw asReleaseError(error, 'reserving space');
  }
}

function reserveOne({ files }: ReservePlace, path: string, bytes: number): void {
  try {
    files.reserve(path, bytes);
  } catch (error) {
    files.unlink(path);
    throw error;
  }
}

/** The row that it was kept for begins. */
export function giveUpSpace(place: Omit<ReservePlace, 'log'>, row: Reservation): void {
  const path = pathOf(place, row);
  if (place.files.stat(path) === null) return;
  place.files.unlink(path);
  place.files.syncDirectory(workDirectory(place.layout, place.tx));
}
