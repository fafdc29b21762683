import type { Layout } from '../../protocol/layout.ts';
import { replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readKept } from '../effects/kept-file.ts';
import type { User } from '../identity/settings.ts';
import { makePin, pinBytesMax, pinRecordShape } from '../page/pin.ts';

/** The PIN of the field page. Only its scrypt hash is kept, so each request for one makes another one. */

/** @returns the PIN if there was none before */
export function setPin(files: Files, layout: Layout, pageUser: User | null): string | null {
  // A damaged PIN record lets nobody in.
  return readKept(files, layout.pin, pinBytesMax, pinRecordShape) === null ? replacePin(files, layout, pageUser) : null;
}

/** @returns another PIN; the page's user reads the record through its group */
export function replacePin(files: Files, layout: Layout, pageUser: User | null): string {
  // Sets aside what is damaged: a directory in its place would keep the name.
  readKept(files, layout.pin, pinBytesMax, pinRecordShape);
  const { pin, record } = makePin();
  const owner = pageUser === null ? undefined : { uid: process.getuid?.() ?? 0, gid: pageUser.gid };
  replaceFile(files, layout.pin, Buffer.from(JSON.stringify(record)), 0o640, owner);
  return pin;
}
