// What custody needs from the rest of a node: reading headers, and a way to each member.

import type { NodeId } from '../core/ids.ts';
import type { CustodyAnswer, CustodyRequest } from './messages.ts';

/** What custody reads of a store header (docs/STORE.md). */
export interface HeaderView {
  readonly nodeId: NodeId;
  /** 32 bytes. */
  readonly storeId: Uint8Array;
  readonly keyEpoch: number;
  readonly threshold: number;
  /** In the order of their shares. */
  readonly keyServers: readonly NodeId[];
  /** 32 bytes, see `commitToKey`. */
  readonly keyCommitment: Uint8Array;
  /** Whether the node key that `nodeId` is signed it. */
  readonly signatureValid: boolean;
}

/** Undefined if the bytes are no header of this cluster. Does not throw. */
export type ReadHeader = (header: Uint8Array) => HeaderView | undefined;

/**
 * The way to one attested member. Everything is sealed to the HPKE key of the member's quote; a `release` request
 * travels with a `recover` quote. Requests and answers belong together; rejects when there is no answer.
 */
export interface CustodyPeer {
  request(message: CustodyRequest, options: { signal: AbortSignal }): Promise<CustodyAnswer>;
}
