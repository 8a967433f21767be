// The messages between owners and key servers, as values; codec.ts has their bytes.

import type { NodeId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import type { JournalHead } from './journal-head.ts';

/** One share as it is dealt: with what it takes to check it. */
export interface DealtShare {
  /** The signed header of the key epoch. */
  readonly header: Uint8Array;
  /** Number of the share, and place of its server in the header, from 1. */
  readonly index: number;
  readonly share: Secret;
  /** To all shares of the deal, in their order. */
  readonly commitments: readonly Uint8Array[];
  /** The boot that dealt it. */
  readonly incarnation: number;
  readonly bootKey: Uint8Array;
  /** By the node key: `dealMessage`. */
  readonly signature: Uint8Array;
}

/** "Keep this": the deal is pending until it is committed. Its incarnation and boot key are the caller's. */
export interface DepositRequest extends Omit<DealtShare, 'incarnation' | 'bootKey'> {
  readonly kind: 'deposit';
  /** The deal whose header is on the owner's disk: committed hereby, if the commit got lost. */
  readonly base?: Uint8Array | undefined;
  readonly head?: JournalHead | undefined;
}

/** "The header of this deal is on my disk: drop what came before." */
export interface CommitRequest {
  readonly kind: 'commit';
  readonly dealId: Uint8Array;
}

/** "What do you keep of mine?" */
export interface ProbeRequest {
  readonly kind: 'probe';
  readonly head?: JournalHead | undefined;
}

/** "Others keep my shares now: drop all below this key epoch." */
export interface DropRequest {
  readonly kind: 'drop';
  readonly keyEpoch: number;
}

/** "As which incarnation did you see this node last?" */
export interface LastRequest {
  readonly kind: 'last';
  readonly nodeId: NodeId;
  /** SHA-256 of the store id: whoever does not know the store learns nothing and fences nobody. */
  readonly storeIdHash: Uint8Array;
}

/** "Give me the shares of this node as this incarnation." */
export interface ReleaseRequest {
  readonly kind: 'release';
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly storeIdHash: Uint8Array;
  /** For a platform that the key server does not know the node on; see ticket.ts. */
  readonly ticket?: Uint8Array | undefined;
}

export type OwnerRequest = DepositRequest | CommitRequest | ProbeRequest | DropRequest | LastRequest;
export type CustodyRequest = OwnerRequest | ReleaseRequest;

export const REFUSAL_REASONS = {
  'unknown-owner': 'nothing is kept for this node',
  'wrong-store': 'the node has another store',
  'old-incarnation': 'the incarnation asked for is not above the last one',
  'incarnation-taken': 'another boot has this incarnation',
  'incarnation-too-far': 'the incarnation asked for is too far above the last one',
  fenced: 'a newer boot of this node was seen',
  contested: 'two boots claim this incarnation',
  platform: 'the node is known on another platform, and there is no ticket for this one',
  ticket: 'the migration ticket is not valid for this node, incarnation, platform and height',
  'epoch-not-newer': 'a deal of this or a later key epoch is kept',
  'not-your-header': 'the header is of another node',
  'bad-header': 'the header is unreadable or not signed by its node',
  'bad-shape': 'threshold, shares and place of this server do not go together',
  'bad-signature': 'the deal is not signed by the node for this boot',
  'bad-share': 'the share is not the one its dealer committed to',
  'bad-head': 'the journal head is of a later incarnation than the caller',
  'bad-request': 'the request is not the one the quote was made for',
  'unknown-deal': 'this deal is not kept',
  'too-many-owners': 'no room for another owner',
  'too-large': 'the header is too large',
  stopped: 'the server keeps nothing any more',
} as const satisfies Record<string, string>;

export type RefusalReason = keyof typeof REFUSAL_REASONS;

export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  /** Highest incarnation seen, where that is the reason. */
  readonly last?: number | undefined;
  /** Highest key epoch kept, where that is the reason. */
  readonly keyEpoch?: number | undefined;
}

export type CustodyAnswer =
  | { readonly kind: 'deposited' }
  | { readonly kind: 'committed' }
  | { readonly kind: 'dropped' }
  /** Deal ids. */
  | { readonly kind: 'holding'; readonly current?: Uint8Array | undefined; readonly pending?: Uint8Array | undefined }
  | { readonly kind: 'last'; readonly incarnation: number }
  | Released
  | Refusal;

export interface Released {
  readonly kind: 'released';
  /** Echoed, so that an answer to another attempt is noticed. */
  readonly attemptId: Uint8Array;
  /** Current and pending deal; whoever receives them wipes the shares. */
  readonly deals: readonly DealtShare[];
  readonly head?: JournalHead | undefined;
}
