import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { peerOf } from '../peer.ts';
import { logTexts, requestTexts } from '../texts.ts';
import type { ConnectionLimits } from './limits.ts';
import { type Standing, victimOf } from './victim.ts';

/** The log mentions closed connections no more often than this. */
const tellEveryMs = 60_000;

/** Prefix of the name under which a trusted proxy's own connections stand; no client has such a name. */
const proxyMark = 'proxy ';

/**
 * What vouches for a connection: the operator's token, for one request; an appliance's key, for the request after its
 * check-in.
 */
export type Proof = { readonly by: 'operator' } | { readonly by: 'machine'; readonly keyId: string };

class Connection implements Standing {
  readonly name: string;
  socket: Socket;
  peer: string;
  proof: Proof | null = null;
  /** The request for which a machine's proof counts has begun. */
  isProofUsed = false;
  isIdle = false;
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse } | null = null;
  sinceMs: number;
  #bytesBefore = 0;

  constructor(socket: Socket, peer: string, nowMs: number) {
    this.name = nameOf(socket);
    this.socket = socket;
    this.peer = peer;
    this.sinceMs = nowMs;
  }

  get isProven(): boolean {
    return this.proof !== null;
  }

  get bytes(): number {
    return this.socket.bytesRead + this.socket.bytesWritten - this.#bytesBefore;
  }

  turn(isIdle: boolean, nowMs: number): void {
    this.isIdle = isIdle;
    this.sinceMs = nowMs;
    this.#bytesBefore = this.socket.bytesRead + this.socket.bytesWritten;
  }
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** An answer to a request that is not complete and is not waited for. */
function answerOf(status: string, code: string, message: string, next: string): string {
  const body = JSON.stringify({ code, message, next });
  const head = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  return [`HTTP/1.1 ${status}`, ...head, '', body].join('\r\n');
}

export interface TableParts {
  readonly limits: ConnectionLimits;
  readonly isProxy: (address: string | undefined) => boolean;
  readonly monoMs: () => number;
  readonly log: { warn(text: string): void };
}

/**
 * Every connection of the server. A new one always finds room within the bounds, in all and of its peer: another
 * connection is closed for it, those of checked-in appliances and of operators last. One key protects only a few
 * connections, so its holder takes nobody else's room.
 */
export class ConnectionTable {
  readonly #parts: TableParts;
  readonly #all = new Set<Connection>();
  readonly #byName = new Map<string, Connection>();
  readonly #byPeer = new Map<string, Set<Connection>>();
  /** Connections that count as proven, by key; the oldest proof first. */
  readonly #byKey = new Map<string, Set<Connection>>();
  #closed = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: TableParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#all.size;
  }

  watch(server: Server): void {
    server.on('connection', (socket) => this.#open(socket));
    server.on('secureConnection', (socket: Socket) => {
      const connection = this.#byName.get(nameOf(socket));
      if (connection !== undefined) connection.socket = socket;
    });
    server.setTimeout(this.#parts.limits.silenceMs, (socket) => this.#endSilence(socket));
  }

  /** A request behind a trusted proxy: its client counts, not the proxy. */
  ask(request: IncomingMessage, address: string): void {
    const connection = this.#byName.get(nameOf(request.socket));
    if (connection === undefined || !this.#parts.isProxy(request.socket.remoteAddress)) return;
    // A proxy sends everybody's requests through its connections: one client's proof is not another's.
    this.#credit(connection, null);
    this.#move(connection, peerOf(address));
    if (!this.#makeRoom(connection.peer, connection)) request.socket.destroy();
  }

  prove(request: IncomingMessage, proof: Proof): void {
    const connection = this.#byName.get(nameOf(request.socket));
    if (connection !== undefined) this.#credit(connection, proof);
  }

  #credit(connection: Connection, proof: Proof | null): void {
    const before = connection.proof?.by === 'machine' ? connection.proof.keyId : null;
    if (before !== null) {
      const ofKey = this.#byKey.get(before);
      ofKey?.delete(connection);
      if (ofKey?.size === 0) this.#byKey.delete(before);
    }
    connection.proof = this.#all.has(connection) ? proof : null;
    connection.isProofUsed = false;
    if (connection.proof?.by !== 'machine') return;
    const ofKey = this.#byKey.get(connection.proof.keyId) ?? new Set();
    this.#byKey.set(connection.proof.keyId, ofKey.add(connection));
    const [oldest] = ofKey;
    if (ofKey.size > this.#parts.limits.perKey && oldest !== undefined) this.#credit(oldest, null);
  }

  #open(socket: Socket): void {
    const peer = this.#peerOf(socket);
    if (!this.#makeRoom(peer, null)) {
      this.#tell();
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, peer, this.#parts.monoMs());
    this.#all.add(connection);
    this.#byName.set(connection.name, connection);
    this.#move(connection, peer);
    socket.once('close', () => this.#forget(connection));
  }

  #forget(connection: Connection): void {
    const { name } = connection;
    this.#all.delete(connection);
    if (this.#byName.get(name) === connection) this.#byName.delete(name);
    this.#credit(connection, null);
    this.#leave(connection);
  }

  /** @returns false: this connection was closed, or still has a request in work */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    const { monoMs, limits } = this.#parts;
    const connection = this.#byName.get(nameOf(request.socket));
    if (connection === undefined) return false;
    // One whose answer is out may not be closed yet: its client has it all, and may go on.
    if (connection.exchange?.response.writableFinished === false) return false;
    if (connection.proof?.by === 'operator' || connection.isProofUsed) this.#credit(connection, null);
    connection.isProofUsed = connection.proof !== null;
    connection.turn(false, monoMs());
    const slow = setTimeout(() => this.#endSlowBody(connection, request, response), limits.bodyMs).unref();
    connection.exchange = { request, response };
    response.once('close', () => {
      if (request.complete) clearTimeout(slow);
      if (connection.exchange?.response !== response) return;
      connection.exchange = null;
      if (connection.isProofUsed) this.#credit(connection, null);
      connection.turn(true, monoMs());
      this.#move(connection, this.#peerOf(connection.socket));
    });
    return true;
  }

  #endSlowBody({ proof, socket }: Connection, request: IncomingMessage, response: ServerResponse): void {
    if (request.complete || proof?.by === 'operator') return;
    if (!response.headersSent) {
      const what = requestTexts.bodyLate(this.#parts.limits.bodyMs / 1000);
      socket.write(answerOf('408 Request Timeout', 'request-too-slow', what, requestTexts.bodyLateNext));
    }
    socket.destroySoon();
  }

  /** Silence while the server works is the server's own: it verifies a bundle. */
  #endSilence(socket: Socket): void {
    const exchange = this.#byName.get(nameOf(socket))?.exchange ?? null;
    const isWorking = exchange?.request.complete === true && !exchange.response.headersSent;
    if (!isWorking) socket.destroy();
  }

  /** Only the total bounds a trusted proxy's own connections, under a name that no client has. */
  #peerOf({ remoteAddress }: Socket): string {
    return this.#parts.isProxy(remoteAddress) ? `${proxyMark}${remoteAddress}` : peerOf(remoteAddress);
  }

  #leave(connection: Connection): void {
    const ofPeer = this.#byPeer.get(connection.peer);
    ofPeer?.delete(connection);
    if (ofPeer?.size === 0) this.#byPeer.delete(connection.peer);
  }

  #move(connection: Connection, peer: string): void {
    this.#leave(connection);
    connection.peer = peer;
    if (!this.#all.has(connection)) return;
    const now = this.#byPeer.get(peer) ?? new Set();
    this.#byPeer.set(peer, now.add(connection));
  }

  /** @param newest is in the table already, and must not be closed */
  #makeRoom(peer: string, newest: Connection | null): boolean {
    const { limits } = this.#parts;
    const more = newest === null ? 1 : 0;
    const ofPeer = peer.startsWith(proxyMark) ? undefined : this.#byPeer.get(peer);
    const fitsPeer = ofPeer === undefined || this.#closeDownTo(limits.perPeer - more, ofPeer, newest);
    return fitsPeer && this.#closeDownTo(limits.all - more, this.#all, newest);
  }

  #closeDownTo(most: number, among: ReadonlySet<Connection>, newest: Connection | null): boolean {
    if (among.size <= most) return true;
    const others = [...among].filter((one) => one !== newest);
    const victim = victimOf(others, this.#parts.monoMs());
    if (victim === null) return false;
    this.#tell();
    victim.socket.destroy();
    // Its close event comes later; from now on it does not count.
    this.#forget(victim);
    return true;
  }

  #tell(): void {
    this.#closed += 1;
    const nowMs = this.#parts.monoMs();
    if (nowMs - this.#toldAtMs < tellEveryMs) return;
    const { all, perPeer } = this.#parts.limits;
    this.#parts.log.warn(logTexts.connectionsClosed(this.#closed, all, perPeer));
    this.#closed = 0;
    this.#toldAtMs = nowMs;
  }
}
