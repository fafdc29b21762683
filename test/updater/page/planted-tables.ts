import { networkInterfaces } from 'node:os';
import { type Files, type Handle, realFiles } from '../../../updater/effects/files.ts';

/** An address of this machine that is not loopback. */
export function ownAddress(family: 'IPv4' | 'IPv6'): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((one) => one.family === family && !one.internal)?.address;
}

/** The real files, but for a table of the kernel that begins with so many bytes more, or cannot be read, or is another. */
export class PlantedTables {
  readonly #planted: ReadonlyMap<string, (position: number, length: number) => Buffer>;
  readonly #open = new Map<Handle, string>();
  /** Bytes that were read of what is planted. */
  bytesRead = 0;

  constructor(planted: Readonly<Record<string, (position: number, length: number) => Buffer>>) {
    this.#planted = new Map(Object.entries(planted));
  }

  readonly files: Files = {
    ...realFiles,
    openRead: (path) => {
      const handle = realFiles.openRead(path);
      if (this.#planted.has(path)) this.#open.set(handle, path);
      return handle;
    },
    read: (handle, position, length) => {
      const bytes = this.#planted.get(this.#open.get(handle) ?? '')?.(position, length);
      this.bytesRead += bytes?.length ?? 0;
      return bytes ?? realFiles.read(handle, position, length);
    },
    close: (handle) => {
      this.#open.delete(handle);
      realFiles.close(handle);
    },
  };
}

/** A connection that no process has any more, as the kernel prints it in /proc/net/tcp. */
const line = `${'    1: 0100007F:0400 0200007F:2328 06 00000000:00000000 03:00000FF0 00000000     0        0 0 3 0000000000000000'.padEnd(149)}\n`;

/** A table of so many of those lines, and then what else there is when it is read. */
export function longTable(lines: number, after = () => Buffer.alloc(0)): (position: number, length: number) => Buffer {
  const some = Buffer.from(line.repeat(2_000));
  const end = lines * line.length;
  return (position, length) => {
    if (position >= end) return after().subarray(position - end, position - end + length);
    const from = position % line.length;
    return some.subarray(from, from + Math.min(length, end - position));
  };
}
