import { dirname, join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Files, Handle } from '../effects/files.ts';
import { pageTexts } from '../words/texts.ts';
import type { PageEffects } from './effects.ts';
import { uploadsQuota } from './quota.ts';
import { filesWaitedFor } from './requests.ts';

/** Files that may lie in page/uploads/ at once; half of them may be what the updater is about to take. */
const uploadsMax = 4;
/** Left free for everything else on the partition. */
const spareBytes = 64 * 1024 * 1024;
/** Synced on the way, so that the end of a large file does not block the page for long. */
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

/** One file while it arrives. */
export class Incoming {
  readonly #files: Files;
  readonly #partPath: string;
  readonly #path: string;
  readonly #roomBytes: number;
  readonly #onEnd: () => void;
  #handle: Handle | null;
  #bytes = 0;
  #synced = 0;

  constructor(files: Files, directory: string, id: string, roomBytes: number, onEnd: () => void) {
    this.#files = files;
    this.#partPath = join(directory, `${id}.part`);
    this.#path = join(directory, `${id}.hfb`);
    this.#roomBytes = roomBytes;
    this.#onEnd = onEnd;
    this.#handle = files.create(this.#partPath, 0o600);
  }

  /** @throws UploadError when the file becomes larger than its room; the system's errors when it cannot be written */
  write(bytes: Uint8Array): void {
    if (this.#handle === null) throw new TypeError('the upload has ended');
    if (this.#bytes + bytes.length > this.#roomBytes) {
      const room = pageTexts.megabytes(Math.ceil(this.#roomBytes / mebibyte));
      throw new UploadError('upload-too-large', pageTexts.fileTooLarge(room));
    }
    this.#files.write(this.#handle, bytes, this.#bytes);
    this.#bytes += bytes.length;
    if (this.#bytes - this.#synced < syncEveryBytes) return;
    this.#files.sync(this.#handle);
    this.#synced = this.#bytes;
  }

  /** Makes the file durable under its name. @returns its path. @throws UploadError when it is empty */
  finish(): string {
    if (this.#handle === null) throw new TypeError('the upload has ended');
    if (this.#bytes === 0) {
      throw new UploadError('upload-empty', pageTexts.fileEmpty);
    }
    this.#files.sync(this.#handle);
    this.#close();
    this.#files.rename(this.#partPath, this.#path);
    this.#files.syncDirectory(dirname(this.#path));
    return this.#path;
  }

  /** Removes whatever exists of the file, finished or not. */
  discard(): void {
    this.#close();
    this.#files.unlink(this.#partPath);
    this.#files.unlink(this.#path);
  }

  #close(): void {
    if (this.#handle === null) return;
    this.#files.close(this.#handle);
    this.#handle = null;
    this.#onEnd();
  }
}

/** page/uploads/: files as they arrived, never opened here. The updater copies, verifies and removes them. */
export class Uploads {
  readonly #effects: PageEffects;
  readonly #layout: Layout;
  #busy = false;

  constructor(effects: PageEffects, layout: Layout) {
    this.#effects = effects;
    this.#layout = layout;
  }

  /** Removes what an earlier page left and no request waits for. */
  tidy(): void {
    const { files } = this.#effects;
    const waitedFor = filesWaitedFor(this.#effects, this.#layout);
    for (const name of files.list(this.#layout.uploads)) {
      const path = join(this.#layout.uploads, name);
      if (!waitedFor.has(path)) files.removeTree(path);
    }
  }

  /** @throws UploadError when there is no room for one more */
  begin(): Incoming {
    const { files } = this.#effects;
    const directory = this.#layout.uploads;
    if (this.#busy) {
      throw new UploadError('upload-busy', pageTexts.anotherFile);
    }
    const sizes = files.list(directory).map((name) => files.stat(join(directory, name))?.size ?? 0);
    if (sizes.length >= uploadsMax) {
      const sentence = pageTexts.filesWait(sizes.length);
      throw new UploadError('uploads-full', sentence);
    }
    const usedBytes = sizes.reduce((sum, size) => sum + size, 0);
    const roomBytes = Math.min(uploadsQuota.bytes - usedBytes, files.freeBytes(directory) - spareBytes);
    if (roomBytes <= 0) {
      throw new UploadError('no-space', pageTexts.noRoom);
    }
    const incoming = new Incoming(files, directory, this.#effects.newId(), roomBytes, () => {
      this.#busy = false;
    });
    this.#busy = true;
    return incoming;
  }
}
