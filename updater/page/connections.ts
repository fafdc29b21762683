import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pageTexts } from '../words/texts.ts';
import type { PeerName } from './failures.ts';
import type { Peer } from './peers.ts';

/** People on site, their browsers' spare connections, and a program that reads status.json. */
export const connectionsMax = 32;
/** Per peer; a browser has six. */
export const perPeerMax = 8;

interface Connection {
  readonly socket: Socket;
  readonly peer: PeerName;
  /** It is sending a file and has shown the PIN for it. */
  isSending: boolean;
  /** The last request, until its answer is out. */
  inWork: { readonly request: IncomingMessage; readonly response: ServerResponse } | null;
}

const sentences = {
  agent: pageTexts.notForAgent,
  gone: pageTexts.unknownUser,
} as const;

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

export interface ConnectionsParts {
  readonly peersOf: (sockets: readonly Socket[]) => readonly Peer[];
  readonly isTls: boolean;
  log(line: string): void;
}

/**
 * Every connection of the page, and its peer. A new one always finds room: the oldest connection of the same peer
 * closes for it, or the oldest of the peer that has the most. So no peer can hold them all.
 */
export class Connections {
  readonly #parts: ConnectionsParts;
  /** The oldest first. */
  readonly #all = new Map<string, Connection>();
  /** They arrived in this turn of the event loop; none of their bytes are read before its end. */
  #arrived: Socket[] = [];
  #refusedBefore = false;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
  }

  open(socket: Socket): void {
    this.#arrived.push(socket);
    if (this.#arrived.length === 1) setImmediate(() => this.#lookUp());
  }

  #lookUp(): void {
    const sockets = this.#arrived.filter((socket) => !socket.destroyed);
    this.#arrived = [];
    if (sockets.length === 0) return;
    const peers = this.#parts.peersOf(sockets);
    for (const [index, socket] of sockets.entries()) this.#take(socket, peers[index] ?? { kind: 'gone' });
  }

  #take(socket: Socket, peer: Peer): void {
    if (peer.kind !== 'known') {
      this.#refuse(socket, peer.kind);
      return;
    }
    if (!this.#makeRoom(peer.name)) {
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    const connection = { socket, peer: peer.name, isSending: false, inWork: null };
    this.#all.set(name, connection);
    socket.once('close', () => {
      if (this.#all.get(name) === connection) this.#all.delete(name);
    });
  }

  /**
   * A request begins. @returns false when its connection was refused or closed, or has another one in work: a client that
   * does not wait for its answer has hundreds of them in one packet
   */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    this.#lookUp();
    const connection = this.#all.get(nameOf(request.socket));
    // One whose answer is out may not be closed yet: its client has it all, and may go on.
    if (connection === undefined || connection.inWork?.response.writableFinished === false) return false;
    connection.inWork = { request, response };
    return true;
  }

  /** Whose request this is. @returns null when its connection was refused or closed */
  peerOf(request: IncomingMessage): PeerName | null {
    this.#lookUp();
    return this.#all.get(nameOf(request.socket))?.peer ?? null;
  }

  /** The PIN for the file was shown: sending it may take as long as it takes. */
  sends(request: IncomingMessage): void {
    const connection = this.#all.get(nameOf(request.socket));
    if (connection !== undefined) connection.isSending = true;
  }

  isSending(request: IncomingMessage): boolean {
    return this.#all.get(nameOf(request.socket))?.isSending ?? false;
  }

  /** Its answer is out, or nobody waits for it: the connection is like any other again. */
  ended(request: IncomingMessage): void {
    const connection = this.#all.get(nameOf(request.socket));
    if (connection?.inWork?.request !== request) return;
    connection.isSending = false;
    connection.inWork = null;
  }

  #refuse(socket: Socket, kind: keyof typeof sentences): void {
    if (!this.#refusedBefore) this.#parts.log(pageTexts.refusedConnection(sentences[kind]));
    this.#refusedBefore = true;
    // Before the TLS handshake, no answer can be sent.
    if (this.#parts.isTls) socket.destroy();
    else {
      const body = `${sentences[kind]}\n`;
      const head = `content-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close`;
      socket.write(`HTTP/1.1 403 Forbidden\r\n${head}\r\n\r\n${body}`, () => socket.destroy());
    }
  }

  #makeRoom(peer: PeerName): boolean {
    const byPeer = Map.groupBy(this.#all.values(), (one) => one.peer);
    const own = byPeer.get(peer) ?? [];
    if (own.length >= perPeerMax) return this.#closeOldest(own);
    if (this.#all.size < connectionsMax) return true;
    const most = [...byPeer.values()].sort((a, b) => b.length - a.length)[0] ?? [];
    return this.#closeOldest(most);
  }

  #closeOldest(connections: readonly Connection[]): boolean {
    const oldest = connections.find(({ isSending }) => !isSending);
    if (oldest === undefined) return false;
    this.#all.delete(nameOf(oldest.socket));
    oldest.socket.destroy();
    return true;
  }
}
