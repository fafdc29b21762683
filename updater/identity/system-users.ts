import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';

const passwdBytesMax = 1024 * 1024;

/** A user of this machine by name, from /etc/passwd (passwd(5)); null: there is none. Never root. */
export function systemUser(files: Files, name: string): { readonly uid: number; readonly gid: number } | null {
  const text = readFile(files, '/etc/passwd', passwdBytesMax)?.toString('utf8') ?? '';
  for (const line of text.split('\n')) {
    const [found, , uid, gid] = line.split(':');
    if (found === name && Number(uid) > 0 && Number(gid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}
