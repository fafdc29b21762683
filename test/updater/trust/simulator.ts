import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Key, Metadata, MetaFile, Root, Signature, Snapshot, TargetFile, Targets, Timestamp } from '@tufjs/models';

/** A small TUF repository in memory, made with the models alone: it knows nothing of our own code. */
export const kinds = ['ed25519', 'rsa', 'ecdsa', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384'] as const;
export type Kind = (typeof kinds)[number];
export interface Signer {
  readonly key: Key;
  sign(bytes: Buffer): Signature;
}

const schemes: Readonly<Record<Kind, string>> = {
  ed25519: 'ed25519',
  rsa: 'rsassa-pss-sha256',
  ecdsa: 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384': 'ecdsa-sha2-nistp384',
};

export function signer(kind: Kind = 'ed25519', id?: string): Signer {
  const { publicKey, privateKey } = pairOf(kind);
  const isEd = kind === 'ed25519';
  const text = isEd
    ? publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex')
    : publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const scheme = schemes[kind];
  const keyID = id ?? createHash('sha256').update(text).digest('hex');
  const key = new Key({ keyID, keyType: kind, scheme, keyVal: { public: text } });
  return { key, sign: (bytes) => new Signature({ keyID, sig: signatureOf(kind, bytes, privateKey).toString('hex') }) };
}

function pairOf(kind: Kind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('ec', { namedCurve: kind === 'ecdsa-sha2-nistp384' ? 'P-384' : 'P-256' });
}

function signatureOf(kind: Kind, bytes: Buffer, key: KeyObject): Buffer {
  if (kind === 'ed25519') return sign(null, bytes, key);
  if (kind === 'rsa') return sign('sha256', bytes, { key, padding: 6, saltLength: 32 });
  return sign(kind === 'ecdsa-sha2-nistp384' ? 'sha384' : 'sha256', bytes, key);
}

/** The same key and the same signatures under another id, and with what else is changed. */
export function twinOf(one: Signer, keyID: string, changes: Partial<Pick<Key, 'keyType' | 'keyVal'>> = {}): Signer {
  const { keyType, scheme, keyVal } = one.key;
  const key = new Key({ keyID, keyType, scheme, keyVal, ...changes });
  return { key, sign: (bytes) => new Signature({ keyID, sig: one.sign(bytes).sig }) };
}

const specVersion = '1.0.31';
const roleNames = ['root', 'timestamp', 'snapshot', 'targets'] as const;
type TopRole = (typeof roleNames)[number];

/** The models are read-only for those who verify; here they are made. */
export function setVersion(body: { readonly version: number }, version: number): void {
  Object.assign(body, { version });
}

export class Simulator {
  readonly signers: Record<string, Signer[]>;
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  targets: Targets;
  readonly delegated = new Map<string, Targets>();
  readonly files = new Map<string, Buffer>();
  /** Signed roots by version. */
  readonly roots: Buffer[] = [];
  readonly requests: string[] = [];
  /** Takes an answer over: the bytes to send, or null for 404. */
  override: ((path: string) => Buffer | null | undefined) | null = null;
  #server: Server | null = null;

  constructor(kinds: Partial<Record<TopRole, Kind>> = {}, consistentSnapshot = true) {
    const expires = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+Z/, 'Z');
    const common = { specVersion, version: 1, expires };
    this.signers = Object.fromEntries(roleNames.map((role) => [role, [signer(kinds[role])]]));
    this.root = new Root({ ...common, consistentSnapshot });
    for (const role of roleNames) for (const { key } of this.signersOf(role)) this.root.addKey(key, role);
    this.targets = new Targets(common);
    this.snapshot = new Snapshot({ ...common, meta: { 'targets.json': new MetaFile({ version: 1 }) } });
    this.timestamp = new Timestamp({ ...common, snapshotMeta: new MetaFile({ version: 1 }) });
    this.publishRoot();
  }

  signersOf(role: string): Signer[] {
    const found = this.signers[role];
    if (found === undefined) throw new RangeError(`no signers of ${role}`);
    return found;
  }

  /** @returns the signer that has no say any more */
  replaceKey(role: TopRole, kind: Kind = 'ed25519'): Signer {
    const [old] = this.signersOf(role);
    const entry = this.root.roles[role];
    if (old === undefined || entry === undefined) throw new RangeError(role);
    const fresh = signer(kind);
    Object.assign(entry, { keyIDs: entry.keyIDs.filter((id) => id !== old.key.keyID) });
    this.root.addKey(fresh.key, role);
    this.signers[role] = [fresh];
    return old;
  }

  /** Signs the root as it is, also by `others`. */
  publishRoot(others: readonly Signer[] = []): void {
    this.roots.push(signed(this.root, [...this.signersOf('root'), ...others]));
  }

  /** The next timestamp and snapshot, which name what the targets are now. */
  update(): void {
    setVersion(this.snapshot, this.snapshot.version + 1);
    this.snapshot.meta['targets.json'] = new MetaFile({ version: this.targets.version });
    for (const [role, targets] of this.delegated) {
      this.snapshot.meta[`${role}.json`] = new MetaFile({ version: targets.version });
    }
    setVersion(this.timestamp, this.timestamp.version + 1);
    Object.assign(this.timestamp, { snapshotMeta: new MetaFile({ version: this.snapshot.version }) });
  }

  addFile(role: string, name: string, bytes: Buffer): void {
    const targets = role === 'targets' ? this.targets : this.delegated.get(role);
    if (targets === undefined) throw new RangeError(role);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    targets.addTarget(new TargetFile({ path: name, length: bytes.length, hashes: { sha256 } }));
    this.files.set(`${sha256}.${name}`, bytes);
  }

  /** `from` lets `role` speak for these paths. */
  delegate(from: string, role: string, paths: string[], terminating = false, kind: Kind = 'ed25519'): void {
    const delegator = from === 'targets' ? this.targets : this.delegated.get(from);
    if (delegator === undefined) throw new RangeError(from);
    const [known] = this.signers[role] ?? [];
    const own = known ?? signer(kind);
    this.signers[role] = [own];
    const json = delegationsOf(delegator);
    const { keyID } = own.key;
    json.delegations.keys[keyID] = own.key.toJSON();
    json.delegations.roles.push({ name: role, keyids: [keyID], threshold: 1, terminating, paths });
    const changed = Targets.fromJSON(json);
    if (from === 'targets') this.targets = changed;
    else this.delegated.set(from, changed);
    if (!this.delegated.has(role)) {
      this.delegated.set(role, new Targets({ specVersion, version: 1, expires: this.targets.expires }));
    }
  }

  async listen(): Promise<string> {
    this.#server = createServer((request, response) => {
      const path = decodeURI(new URL(request.url ?? '/', 'http://x').pathname);
      this.requests.push(path);
      const taken = this.override?.(path);
      const bytes = taken === undefined ? this.#find(new URL(request.url ?? '/', 'http://x').pathname) : taken;
      if (bytes === null) response.writeHead(404).end();
      else response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #find(path: string): Buffer | null {
    const [, place, ...rest] = path.split('/');
    const name = decodeURIComponent(rest.join('/'));
    if (place === 'targets') return this.files.get(name) ?? null;
    const root = /^(\d+)\.root\.json$/.exec(name);
    if (root !== null) return this.roots[Number(root[1]) - 1] ?? null;
    if (name === 'timestamp.json') return signed(this.timestamp, this.signersOf('timestamp'));
    return this.#role(name);
  }

  #role(name: string): Buffer | null {
    const isConsistent = this.root.consistentSnapshot;
    const roles: [string, Snapshot | Targets][] = [
      ['snapshot', this.snapshot],
      ['targets', this.targets],
      ...this.delegated,
    ];
    for (const [role, body] of roles) {
      if (name === (isConsistent ? `${body.version}.${role}.json` : `${role}.json`)) {
        return signed(body, this.signersOf(role));
      }
    }
    return null;
  }
}

type Json = ReturnType<Targets['toJSON']>;
type DelegatingJson = { delegations: { keys: Record<string, Json>; roles: Json[] } };

/** A role's JSON, with room for who it delegates to. */
function delegationsOf(targets: Targets): Json & DelegatingJson {
  const json = targets.toJSON() as Json & Partial<DelegatingJson>;
  return { ...json, delegations: json.delegations ?? { keys: {}, roles: [] } };
}

export function signed(body: Root | Snapshot | Targets | Timestamp, signers: readonly Signer[]): Buffer {
  const metadata = new Metadata(body);
  for (const one of signers) metadata.sign((bytes) => one.sign(bytes), true);
  return Buffer.from(JSON.stringify(metadata.toJSON()));
}
