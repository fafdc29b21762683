import { archiveHeader, archivePadding } from '../../../image/archive.ts';

/** What a header says that no builder writes. */
export interface OddHeader {
  /** 100 bytes at the most; the rest is zeros. */
  readonly name?: string;
  /** POSIX ustar: 0 file, 1 hard link, 2 link, 3 and 4 devices, 5 directory, 6 FIFO; x and g of PAX, L of GNU. */
  readonly type?: string;
  readonly linkName?: string;
  readonly mode?: string;
  readonly owner?: string;
  readonly prefix?: string;
  /** The twelve bytes of the size. */
  readonly size?: Buffer;
  readonly checksum?: string;
}

/** An entry with whatever its header says; the checksum is right unless the header says otherwise. */
export function oddEntry(name: string, content: Buffer, odd: OddHeader = {}): Buffer {
  const block = archiveHeader(name, content.length);
  const put = (text: string | undefined, at: number, length: number) => {
    if (text !== undefined) block.fill(0, at, at + length).write(text, at, 'latin1');
  };
  put(odd.name, 0, 100);
  put(odd.mode, 100, 8);
  put(odd.owner, 108, 8);
  odd.size?.copy(block, 124);
  put(odd.type, 156, 1);
  put(odd.linkName, 157, 100);
  put(odd.prefix, 345, 155);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(odd.checksum ?? `${sum.toString(8).padStart(6, '0')} \0`, 148, 8);
  return Buffer.concat([block, content, archivePadding(content.length)]);
}

/** A size in GNU's base-256 notation, which reaches beyond 2^53. */
export function binarySize(bytes: readonly number[]): Buffer {
  return Buffer.from([...Array.from({ length: 12 - bytes.length }, (_, index) => (index === 0 ? 0x80 : 0)), ...bytes]);
}
