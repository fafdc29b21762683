import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Handle } from '../effects/files.ts';
import type { PageEffects } from './effects.ts';
import { filesWaitedFor } from './requests.ts';

/** What may lie in page/uploads/ at once. A bundle with a runtime has about 60 MiB; the updater takes no larger one. */
const uploadsBytesMax = 2 * 1024 * 1024 * 1024;
const uploadsMax = 4;
/** Left free for everybody else on the partition. */
const spareBytes = 64 * 1024 * 1024;
/** Synced on the way, so that the end of a large file does not stop the page for long. */
const syncEveryBytes = 16 * 1024 * 1024;

export type UploadErrorCode = 'upload-too-large' | 'uploads-full' | 'no-space' | 'upload-empty' | 'upload-busy';

/** A file that is not taken; the message is for the person who sent it. */
export class UploadError extends Error {
  readonly code: UploadErrorCode;
  constructor(code: UploadErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const mebibyte = 1024 * 1024;

function inMebibytes(bytes: number): string {
  return `${Math.ceil(bytes / mebibyte)} MB`;
}

/** page/uploads/: files as they came, never looked into here. The updater copies, verifies and removes them. */
export class Uploads {
  readonly #effects: PageEffects;
  readonly #layout: Layout;
  #current: { readonly handle: Handle; readonly id: string; readonly roomBytes: number } | null = null;
  #bytes = 0;
  #synced = 0;

  constructor(effects: PageEffects, layout: Layout) {
    this.#effects = effects;
    this.#layout = layout;
  }

  /** Removes what a page before this one left and no request waits for. */
  tidy(): void {
    const { files } = this.#effects;
    const waitedFor = filesWaitedFor(this.#effects, this.#layout);
    for (const name of files.list(this.#layout.uploads)) {
      const path = join(this.#layout.uploads, name);
      if (!waitedFor.has(path)) files.removeTree(path);
    }
  }

  /** @throws UploadError when there is no room for one more */
  begin(): void {
    if (this.#current !== null) {
      throw new UploadError('upload-busy', 'Another file is being sent to this page. Wait until it is done.');
    }
    const { files } = this.#effects;
    const sizes = files.list(this.#layout.uploads).map((name) => files.stat(join(this.#layout.uploads, name))?.size ?? 0);
    if (sizes.length >= uploadsMax) {
      throw new UploadError('uploads-full', `${sizes.length} files wait to be installed already. Let the updater take them first.`);
    }
    const used = sizes.reduce((sum, size) => sum + size, 0);
    const free = files.freeBytes(this.#layout.uploads) - spareBytes;
    if (free <= 0) {
      throw new UploadError('no-space', 'The disk of the appliance is full. Nothing was taken; remove data before installing.');
    }
    const id = this.#effects.newId();
    const handle = files.create(this.#path(`${id}.part`), 0o600);
    this.#current = { handle, id, roomBytes: Math.min(uploadsBytesMax - used, free) };
    this.#bytes = 0;
    this.#synced = 0;
  }

  /** @throws UploadError when the file becomes larger than its room; the system's errors when it can not be written */
  write(bytes: Uint8Array): void {
    const { handle, roomBytes } = this.#open();
    if (this.#bytes + bytes.length > roomBytes) {
      throw new UploadError(
        'upload-too-large',
        `The file is larger than the ${inMebibytes(roomBytes)} that there is room for. Nothing was taken.`,
      );
    }
    this.#effects.files.write(handle, bytes, this.#bytes);
    this.#bytes += bytes.length;
    if (this.#bytes - this.#synced < syncEveryBytes) return;
    this.#effects.files.sync(handle);
    this.#synced = this.#bytes;
  }

  /** Makes the file durable under its name. @returns its path. @throws UploadError when it is empty */
  finish(): string {
    const { files } = this.#effects;
    const { handle, id } = this.#open();
    if (this.#bytes === 0) throw new UploadError('upload-empty', 'No file was chosen, or it is empty. Choose a bundle (.hfb).');
    files.sync(handle);
    files.close(handle);
    this.#current = null;
    const path = this.#path(`${id}.hfb`);
    files.rename(this.#path(`${id}.part`), path);
    files.syncDirectory(this.#layout.uploads);
    return path;
  }

  /** Forgets a file that was begun; nothing happens when none was. */
  abandon(): void {
    if (this.#current === null) return;
    const { handle, id } = this.#current;
    this.#current = null;
    this.#effects.files.close(handle);
    this.#effects.files.unlink(this.#path(`${id}.part`));
  }

  #open() {
    if (this.#current === null) throw new TypeError('no upload was begun');
    return this.#current;
  }

  #path(name: string): string {
    return join(this.#layout.uploads, name);
  }
}
