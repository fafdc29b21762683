import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
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
import { StartError } from './start-error.ts';
import { startTexts } from './texts.ts';

const names = ['answer', 'snapshot', 'timestamp'] as const;
export type OnlineRole = (typeof names)[number];

/** The keys that signed metadata names for each role of the server. */
export type NamedKeys = Readonly<Record<OnlineRole, readonly PublicKey[]>>;

type KeySet = Record<OnlineRole, KeyPair>;

/**
 * Writes a file so that a power cut leaves the old one or the new one: temporary file, sync, rename, directory sync.
 */
export function writeDurably(path: string, content: string | Buffer, mode = 0o644): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', mode);
  try {
    // A nearly full disk takes a part of the content, and fails only when asked for the rest.
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    // The partial file would take the room that is needed.
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function newKeyAt(path: string): KeyPair {
  const made = generateKeyPair();
  writeDurably(path, privateKeyToPem(made.privateKey), 0o600);
  return made;
}

/** A key in use. Appliances trust it, so a new one cannot replace it: a damaged one stops the server. */
function keyAt(path: string): KeyPair {
  if (!existsSync(path)) return newKeyAt(path);
  try {
    const privateKey = privateKeyFromPem(readFileSync(path, 'utf8'));
    return { publicKey: publicKeyOf(privateKey), privateKey };
  } catch (cause) {
    throw new StartError('key-damaged', startTexts.keyUnreadable(path), startTexts.keyUnreadableNext, { cause });
  }
}

/** A key that waits to be used. Nobody trusts it yet, so a damaged one is set aside, and another is made. */
function nextKeyAt(path: string, faults: string[]): KeyPair {
  try {
    return keyAt(path);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    renameSync(path, `${path}.damaged`);
    faults.push(startTexts.nextKeyDamaged(path));
    return newKeyAt(path);
  }
}

/**
 * The server's online keys: they choose among signed releases and vouch for answers; they cannot make a release. Each
 * role has one key in use, and a next one that waits until signed metadata names it instead. So a key is replaced
 * without ever leaving this machine.
 */
export class OnlineKeys {
  readonly #data: string;
  readonly #current: KeySet;
  readonly #next: KeySet;

  /** What was damaged when the keys were opened, and set aside. */
  readonly faults: readonly string[];
  /** Roles whose key was missing and was made just now: the server is new, or lost its key. */
  readonly made: readonly OnlineRole[];

  constructor(data: string, current: KeySet, next: KeySet, opened: Pick<OnlineKeys, 'faults' | 'made'>) {
    this.faults = opened.faults;
    this.made = opened.made;
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

  /** Those keys of a role that the metadata names, the one in use first. */
  named(role: OnlineRole, named: readonly PublicKey[]): KeyPair[] {
    return [this.#current[role], this.#next[role]].filter((pair) => named.includes(pair.publicKey));
  }

  /**
   * Switches each role to its next key if the metadata does not name the present one any more. Call it only when that
   * metadata is on the disk: until then the present key may still be needed.
   * @returns the roles whose key changed
   */
  settle(named: NamedKeys): OnlineRole[] {
    const replaced = names.filter((role) => {
      return !named[role].includes(this.#current[role].publicKey) && named[role].includes(this.#next[role].publicKey);
    });
    for (const role of replaced) {
      // One rename: a power cut leaves either the old pair of keys, and this runs again, or the new key without a next
      // one.
      renameSync(pathOf(this.#data, `next-${role}`), pathOf(this.#data, role));
      syncDirectory(join(this.#data, 'keys'));
      this.#current[role] = this.#next[role];
      this.#next[role] = newKeyAt(pathOf(this.#data, `next-${role}`));
    }
    if (replaced.length > 0) this.publish();
    return replaced;
  }

  /** Writes the public halves for operators: `<data>/public-keys.json`. */
  publish(): void {
    const halves = (keys: KeySet) => Object.fromEntries(names.map((name) => [name, keys[name].publicKey]));
    const published = { ...halves(this.#current), next: halves(this.#next) };
    writeDurably(join(this.#data, 'public-keys.json'), `${JSON.stringify(published, null, 2)}\n`);
  }
}

function pathOf(data: string, name: string): string {
  return join(data, 'keys', `${name}.pem`);
}

/** Reads `<data>/keys/`, makes what is missing, and writes the public halves to `<data>/public-keys.json`. */
export function openKeys(data: string): OnlineKeys {
  const directory = join(data, 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const faults: string[] = [];
  const keySet = (keyOf: (name: OnlineRole) => KeyPair): KeySet => ({
    answer: keyOf('answer'),
    snapshot: keyOf('snapshot'),
    timestamp: keyOf('timestamp'),
  });
  const made = names.filter((name) => !existsSync(pathOf(data, name)));
  const current = keySet((name) => keyAt(pathOf(data, name)));
  const next = keySet((name) => nextKeyAt(pathOf(data, `next-${name}`), faults));
  const keys = new OnlineKeys(data, current, next, { faults, made });
  keys.publish();
  return keys;
}
