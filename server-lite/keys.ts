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
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
} from '../protocol/trust/ed25519.ts';

const names = ['answer', 'snapshot', 'timestamp'] as const;

/** The server's online keys: they choose among signed releases and vouch for answers; they can not make a release. */
export type OnlineKeys = Readonly<Record<(typeof names)[number], KeyPair>>;

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
  const directory = openSync(dirname(path), 'r');
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

/** Reads `<data>/keys/`, making what is missing, and publishes the public halves in `<data>/public-keys.json`. */
export function openKeys(data: string): OnlineKeys {
  const directory = join(data, 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const keys: OnlineKeys = {
    answer: keyAt(join(directory, 'answer.pem')),
    snapshot: keyAt(join(directory, 'snapshot.pem')),
    timestamp: keyAt(join(directory, 'timestamp.pem')),
  };
  const published = Object.fromEntries(names.map((name) => [name, keys[name].publicKey]));
  writeDurably(join(data, 'public-keys.json'), `${JSON.stringify(published, null, 2)}\n`);
  return keys;
}
