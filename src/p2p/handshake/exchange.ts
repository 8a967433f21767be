// What the steps of one handshake share.

import type { Cluster } from '../../attestation/index.ts';
import { KithError } from '../../core/errors.ts';
import type { FrameReader, FrameWriter } from '../frames.ts';
import { type Messages, readMessage } from './messages.ts';
import type { AttestedPeer, Contexts, HandshakeCode, HandshakeDeps, HandshakeOutcome, Identity } from './ports.ts';

export interface HandshakeRequest {
  readonly role: 'initiator' | 'responder';
  readonly ownBootKey: Uint8Array;
  readonly peerBootKey: Uint8Array;
  /** In a renewal: what the peer proved before. Contexts are kept then, none are made. */
  readonly previous?: AttestedPeer;
  /**
   * Called at the moment the peer is believed and believes us as far as we can know, before the last message of ours:
   * from here on its streams may come. `contexts` is undefined in a renewal.
   */
  established(peer: AttestedPeer, contexts: Contexts | undefined): void;
  /** Called at once when the handshake fails: what follows of it takes the peer's time. */
  refused?(outcome: Extract<HandshakeOutcome, { kind: 'refused' }>): void;
}

export interface Exchange extends HandshakeRequest {
  readonly deps: HandshakeDeps;
  readonly identity: Identity;
  readonly reader: FrameReader;
  readonly writer: FrameWriter;
  readonly signal: AbortSignal;
}

export interface Agreed {
  readonly cluster: Cluster;
  readonly ownNonce: Uint8Array;
  readonly peerNonce: Uint8Array;
  readonly nonceMadeMs: number;
}

/** @throws KithError with this code, always. */
export const fail = (code: HandshakeCode, message: string): never => {
  throw new KithError<HandshakeCode>(code, message);
};

/** The next message, which must come. @throws KithError `malformed-message`, `peer-refused`. */
export async function expect<Kind extends keyof Messages>(exchange: Exchange, kind: Kind): Promise<Messages[Kind]> {
  const message = await readMessage(exchange.reader, kind);
  return message ?? fail('malformed-message', `the peer ended the handshake where ${kind} was expected`);
}
