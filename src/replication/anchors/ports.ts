// What anchors need from outside. src/node implements it over the sealed store, the indexer, the mesh and the roster.

import type { ClusterId, NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { OperationRef } from '../log-entry.ts';
import type { Replica, SyncPeer, SyncPeers } from '../replica.ts';

/** A chain that carries texts. The node behind it is the host's: it may hold back, delay and invent. */
export interface AnchorChain {
  /** Hands a text to the chain. That it was taken says nothing about a block. @throws KithError if it was not. */
  send(text: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Every block from `from` on (or from the first there is), each height once and in order, then each new one. It does
   * not end but by an error or `signal`. An indexer's `blocks` is such a source.
   */
  blocks(from: number, options: { readonly signal: AbortSignal }): AsyncIterable<AnchorChainBlock>;
}

export interface AnchorChainBlock {
  readonly height: number;
  /** Texts under the prefix of the cluster, in the order of the block. */
  readonly texts: readonly { readonly blockIndex: number; readonly text: string }[];
}

/** Records of the sealed store, a namespace of their own. Keys of at most 16 bytes, values of at most 64 KiB. */
export interface AnchorStore {
  entries(): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** All of it or nothing, and synced once it resolves. A value left out deletes the record. */
  commit(writes: readonly AnchorWrite[]): Promise<void>;
}

export interface AnchorWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** The operations of a node, of those anchors have to do with. */
export interface AnchorReplica extends Pick<Replica, 'states' | 'holds' | 'body' | 'takeBodies'> {
  /** Whether it is one of those that count for their registration. From memory: asked for thousands at once. */
  counts(ref: OperationRef): boolean;
  /** Calls back after operations were synced, from users or members. Returns what ends that. */
  onTaken(listener: (refs: readonly OperationRef[]) => void): () => void;
}

/** Another member, and a way to ask it what this module answers (`Anchors.handle`). */
export type AnchorPeer = Pick<SyncPeer, 'nodeId' | 'request'>;

export interface AnchorPeers {
  /** Proven, connected members. */
  list(): readonly AnchorPeer[];
  onChange: SyncPeers['onChange'];
}

export interface AnchorRosters {
  now(): {
    /** 32 bytes; undefined before there is a cluster. */
    readonly genesisId: Uint8Array | undefined;
    readonly rosterHash: Uint8Array;
    readonly members: readonly RosterEntry[];
  };
  /** A roster of now or before; `untilHeight` undefined while it is in force, or if it is not known. */
  byHash(
    rosterHash: Uint8Array,
  ): { readonly members: readonly RosterEntry[]; readonly untilHeight: number | undefined } | undefined;
}

export interface AnchorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  readonly store: AnchorStore;
  readonly replica: AnchorReplica;
  readonly peers: AnchorPeers;
  readonly rosters: AnchorRosters;
  /** Undefined: anchors are exchanged and kept by members only. */
  readonly chain: AnchorChain | undefined;
  /** Newest height this node knows; 0 before the first. */
  height(): number;
  /** Ed25519 with the node key. */
  sign(message: Uint8Array): Uint8Array;
  /** False while the node's word about what it holds is not to be had (rollback). */
  mayAttest(): boolean;
  report?(event: AnchorReport): void;
}

export type AnchorReport =
  | { readonly kind: 'log-key-made'; readonly epoch: number }
  | { readonly kind: 'log-key-taken'; readonly epoch: number; readonly from: NodeId }
  /** `operations` undefined: the key of the epoch is not held, so they cannot be told from padding. */
  | {
      readonly kind: 'accepted';
      readonly epoch: number;
      readonly seq: number;
      readonly operations: number | undefined;
      readonly missing: number;
      readonly fromChain: boolean;
    }
  /** A quorum went on from other anchors than this node's: these do not count any more. */
  | { readonly kind: 'abandoned'; readonly epoch: number; readonly seq: number }
  /** Texts under the prefix that are no valid next anchor: rubbish, losers, copies. */
  | { readonly kind: 'ignored'; readonly height: number; readonly texts: number }
  | { readonly kind: 'proposed'; readonly epoch: number; readonly seq: number; readonly operations: number }
  | { readonly kind: 'no-quorum'; readonly epoch: number; readonly seq: number; readonly words: readonly string[] }
  | { readonly kind: 'send-failed'; readonly epoch: number; readonly seq: number; readonly error: unknown }
  /** All operations of an anchor are known and are not those its root names: a quorum signed what is not so. */
  | { readonly kind: 'wrong-root'; readonly epoch: number; readonly seq: number }
  | { readonly kind: 'found'; readonly operations: number; readonly from: NodeId }
  /** Looked for during a whole lifetime, or gone at a quorum. */
  | { readonly kind: 'given-up'; readonly tags: number; readonly why: 'lifetime' | 'gone' | 'full' }
  /** Members accepted an anchor that the chain, as this node is shown it, does not have. */
  | { readonly kind: 'chain-lacks'; readonly epoch: number; readonly seq: number }
  /** A port threw; the work goes on. */
  | { readonly kind: 'failed'; readonly error: unknown };
