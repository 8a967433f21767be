// What a launch leaves: an open store, and who the node is that it belongs to.

import type { NodeId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import type { SealedStore } from './store/index.ts';

/** A node's own secrets: made once, in the sealed store ever after. */
export interface NodeIdentity {
  readonly nodeId: NodeId;
  /** Ed25519. */
  readonly nodeSecret: Secret;
  /** Names registrations in the log (`createPseudonyms`). */
  readonly logKey: Secret;
}

export interface Launched {
  readonly store: SealedStore;
  readonly identity: NodeIdentity;
  /** Which boot of the node this is, from 1. */
  readonly incarnation: number;
  /** Whether the store was made just now. */
  readonly fresh: boolean;
  /** The store's data key under the recovery keys, for every header of it; undefined if there are no such keys. */
  readonly recoveryWrap: Uint8Array | undefined;
}
