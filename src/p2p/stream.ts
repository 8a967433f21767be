// What the mesh needs of a transport: connections whose other end has proven a boot key, and ordered byte streams
// with back-pressure on them. Everything that comes through is hostile until a session has verified it.

import type { KithError } from '../core/errors.ts';

/** Both directions of an ordered stream of bytes. Chunks arrive cut differently from how they were written. */
export interface ByteStream {
  /**
   * Resolves once the transport takes more; one call at a time.
   * @throws KithError `stream-aborted` or `connection-closed`.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * The next bytes, never empty; undefined once the other side has ended its direction. One call at a time.
   * @throws KithError `stream-aborted` or `connection-closed`.
   */
  read(): Promise<Uint8Array | undefined>;
  /** Ends the own direction; the other one stays open. Idempotent. */
  closeWrite(): Promise<void>;
  /** Gives up both directions; pending calls reject, the other side sees `stream-aborted`. Idempotent. */
  abort(error: KithError): void;
}

export interface Connection {
  /** Ed25519 public key of the other end's boot identity, 32 bytes, proven by the transport. */
  readonly peerBootKey: Uint8Array;
  /** Whom to count floods against: an IPv4 address, an IPv6 network of 64 bits. */
  readonly remoteHost: string;
  /** `initiator`: this side dialled. */
  readonly role: 'initiator' | 'responder';
  /** @throws KithError `unreachable`, `connection-closed`, or the signal's reason. */
  openStream(protocol: string, options: { signal: AbortSignal }): Promise<ByteStream>;
  /** Takes the streams the other side opens, from now on. Set once; until then they are refused. */
  onStream(handler: (protocol: string, stream: ByteStream) => void): void;
  /** Ends all streams and the connection at once. Idempotent. */
  abort(error: KithError): void;
  /** Aborts when the connection has ended, whoever ended it; the reason is a KithError. */
  readonly closed: AbortSignal;
}

export interface Transport {
  /** Public half of this boot's identity, 32 bytes. */
  readonly bootKey: Uint8Array;
  /** @throws KithError `cannot-listen`. */
  start(options: { signal?: AbortSignal }): Promise<void>;
  stop(): Promise<void>;
  /** @throws KithError `unreachable`, `bad-address`, `dialled-self`, or the signal's reason. */
  dial(address: string, options: { signal: AbortSignal }): Promise<Connection>;
  /** Takes connections that others open. Set once, before `start`. */
  onConnection(handler: (connection: Connection) => void): void;
  /** Where others reach this node, as announced or as listened on. */
  addresses(): readonly string[];
}
