import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  generateKeyPair,
  type KeyPair,
  type PublicKey,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
} from '../protocol/trust/ed25519.ts';

const names = ['answer', 'snapshot', 'timestamp'] as const;
export type OnlineRole = (typeof names)[number];

/** The keys that signed metadata names for each role of the server. */
export type NamedKeys = Readonly<Record<OnlineRole, readonly PublicKey[]>>;

type KeySet = Record<OnlineRole, KeyPair>;

/** Writes a file so that a power cut leaves the old one or the new one: temporary file, sync, rename, directory sync. */
export function writeDurably(path: string, content: string | Buffer, mode = 0o644): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', mode);
  try {
    writeSync(file, typeof content === 'string' ? Buffer.from(content) : content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function keyAt(path: string): KeyPair {
  if (!existsSync(path)) {
    const made = generateKeyPair();
    writeDurably(path, privateKeyToPem(made.privateKey), 0o600);
    return made;
  }
  const privateKey = privateKeyFromPem(readFileSync(path, 'utf8'));
  return { publicKey: publicKeyOf(privateKey), privateKey };
}

/**
 * The server's online keys: they choose among signed releases and vouch for answers; they can not make a release. For each
 * role there is one in use and the next one, which waits until signed metadata names it in the other's place: so a key is
 * replaced without ever leaving this machine.
 */
export class OnlineKeys {
  readonly #data: string;
  readonly #current: KeySet;
  readonly #next: KeySet;

  constructor(data: string, current: KeySet, next: KeySet) {
    this.#data = data;
    this.#current = current;
    this.#next = next;
  }

  get answer(): KeyPair {
    return this.#current.answer;
  }

  get snapshot(): KeyPair {
    return this.#current.snapshot;
  }

  get timestamp(): KeyPair {
    return this.#current.timestamp;
  }

  /** Those of a role's keys that metadata names, the one in use first. */
  named(role: OnlineRole, named: readonly PublicKey[]): KeyPair[] {
    return [this.#current[role], this.#next[role]].filter((pair) => named.includes(pair.publicKey));
  }

  /**
   * Goes over to the next key of each role whose present one the metadata does not name any more. Call it when that
   * metadata is on the disk: before, the present key may still be needed.
   * @returns the roles whose key is another one now
   */
  settle(named: NamedKeys): OnlineRole[] {
    const replaced = names.filter((role) => {
      return !named[role].includes(this.#current[role].publicKey) && named[role].includes(this.#next[role].publicKey);
    });
    for (const role of replaced) {
      // One rename: a power cut leaves the old pair of keys, and this is done again, or the new one without a next.
      renameSync(pathOf(this.#data, `next-${role}`), pathOf(this.#data, role));
      syncDirectory(join(this.#data, 'keys'));
      this.#current[role] = this.#next[role];
      this.#next[role] = keyAt(pathOf(this.#data, `next-${role}`));
    }
    if (replaced.length > 0) this.publish();
    return replaced;
  }

  /** Writes the public halves where an operator takes them from: `<data>/public-keys.json`. */
  publish(): void {
    const halves = (keys: KeySet) => Object.fromEntries(names.map((name) => [name, keys[name].publicKey]));
    const published = { ...halves(this.#current), next: halves(this.#next) };
    writeDurably(join(this.#data, 'public-keys.json'), `${JSON.stringify(published, null, 2)}\n`);
  }
}

function pathOf(data: string, name: string): string {
  return join(data, 'keys', `${name}.pem`);
}

/** Reads `<data>/keys/`, making what is missing, and publishes the public halves in `<data>/public-keys.json`. */
export function openKeys(data: string): OnlineKeys {
  const directory = join(data, 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const keySet = (prefix: string): KeySet => ({
    answer: keyAt(pathOf(data, `${prefix}answer`)),
    snapshot: keyAt(pathOf(data, `${prefix}snapshot`)),
    timestamp: keyAt(pathOf(data, `${prefix}timestamp`)),
  });
  const keys = new OnlineKeys(data, keySet(''), keySet('next-'));
  keys.publish();
  return keys;
}
