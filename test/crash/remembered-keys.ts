import crypto, { hash, KeyObject } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** What is remembered at the most; then it begins anew. */
const entriesMax = 1 << 16;

type Tell = (...args: readonly unknown[]) => string | null;

/** A pure function that remembers its results by a text that tells its arguments; `null`: these are not told. */
function remembered<F extends object>(compute: F, tell: Tell): F {
  const known = new Map<string, unknown>();
  return new Proxy(compute, {
    apply: (target, self, args: unknown[]): unknown => {
      if (typeof target !== 'function') throw new TypeError('only a function can be remembered');
      const name = tell(...args);
      const found = name === null ? undefined : known.get(name);
      if (found !== undefined) return found;
      const made: unknown = Reflect.apply(target, self, args);
      if (known.size >= entriesMax) known.clear();
      if (name !== null) known.set(name, made);
      return made;
    },
  });
}

const digestOf = (bytes: unknown) => (bytes instanceof Uint8Array ? hash('sha256', bytes) : null);

/**
 * Reading keys, signing with Ed25519 (RFC 8032: the same bytes have one signature) and verifying are pure, and the slowest
 * things that a recovery in memory does; the same few are done a million times. In a thread of the enumerator each is done
 * once.
 */
export function rememberKeys(): void {
  const texts = new WeakMap<KeyObject, string>();
  /** The bytes of a key; null for what is no Ed25519 key. */
  const textOf = (key: unknown): string | null => {
    if (!(key instanceof KeyObject) || key.asymmetricKeyType !== 'ed25519') return null;
    const known = texts.get(key);
    if (known !== undefined) return known;
    const type = key.type === 'private' ? 'pkcs8' : 'spki';
    const text = `${key.type} ${key.export({ format: 'der', type }).toString('hex')}`;
    texts.set(key, text);
    return text;
  };
  const told = (...parts: (string | null)[]) => (parts.includes(null) ? null : parts.join(' '));
  crypto.createPrivateKey = remembered(crypto.createPrivateKey, (pem) => (typeof pem === 'string' ? pem : null));
  crypto.createPublicKey = remembered(crypto.createPublicKey, (from) => {
    const der = typeof from === 'object' && from !== null && 'key' in from && 'format' in from ? from : null;
    if (der === null) return textOf(from);
    return der.format === 'der' ? digestOf(der.key) : null;
  });
  const { createPublicKey } = crypto;
  crypto.createPublicKey = new Proxy(createPublicKey, {
    apply: (target, self, args: Parameters<typeof createPublicKey>) => {
      const key = Reflect.apply(target, self, args);
      if (!Object.hasOwn(key, 'export')) {
        const exported = remembered(key.export.bind(key), (options) => JSON.stringify(options));
        Object.defineProperty(key, 'export', { value: exported });
      }
      return key;
    },
  });
  crypto.verify = remembered(crypto.verify, (algorithm, bytes, key, signature) =>
    algorithm === null ? told(digestOf(bytes), textOf(key), digestOf(signature)) : null,
  );
  crypto.sign = remembered(crypto.sign, (algorithm, bytes, key) =>
    algorithm === null ? told(digestOf(bytes), textOf(key)) : null,
  );
  syncBuiltinESMExports();
}
