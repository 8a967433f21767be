// What the roster needs from the node it is part of, and what it offers and tells it.

import type { ClusterId, NodeId } from '../../core/ids.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { AskDeps } from './compare.ts';
import type { HeldRoster, RosterStore } from './ledger.ts';
import type { AnswerRefusalReason } from './messages.ts';
import type { Proposed } from './proposer.ts';
import type { RosterMember } from './statement-set.ts';
import type { StatementId } from './statements.ts';

export interface RosterKeeperDeps extends AskDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** This node, as its own platform attests it. */
  readonly self: RosterEntry;
  readonly store: RosterStore;
  /** Ed25519 with the node key. */
  sign(message: Uint8Array): Uint8Array;
  /** Attested peers, with platform and operator as attested. */
  connected(): readonly RosterEntry[];
  /** Of this node's chain; 0 before it knows one. */
  height(): number;
  /** Ed25519 keys of an operator in this and all earlier versions of the configuration. */
  operatorKeys(operator: string): readonly Uint8Array[];
  report?(event: RosterReport): void;
}

export interface RosterKeeperOptions {
  readonly clusterId: ClusterId;
  /** Started without bootstrap addresses, or told to found. */
  readonly mayFound: boolean;
  /**
   * For a node whose disk belonged to a member before: how long after its start it takes part in no founding, since it may
   * meet who is left of its cluster. 0 if absent.
   */
  readonly foundAfterMs?: number | undefined;
  /** Of the configuration: one node is a cluster. */
  readonly allowUnbacked: boolean;
  readonly onChange?: (view: RosterView) => void;
}

export interface RosterView {
  /** 32 bytes; undefined before a genesis is known. */
  readonly genesisId: Uint8Array | undefined;
  /** Ascending by node id. */
  readonly members: readonly RosterMember[];
  readonly rosterHash: Uint8Array;
  /** `waiting`: no genesis yet. `removed`: evicted, or taken off by its operator; it does not ask again. */
  readonly self: 'waiting' | 'joining' | 'member' | 'left' | 'removed';
  /**
   * While no majority of the roster is connected: the members whose platform shows neither them nor a fresh node. If they
   * never come back, their operators have to take them off; else the roster restores itself. As of now.
   */
  readonly missing: readonly RosterEntry[];
}

export type RosterReport =
  /** Loud: this cluster id has two geneses; one of them has to be wiped. */
  | { readonly kind: 'other-genesis'; readonly nodeId: NodeId; readonly theirs: Uint8Array }
  /** This node, which never joined and met no member for long, has let go of its genesis for that of another. */
  | { readonly kind: 'let-go'; readonly nodeId: NodeId; readonly theirs: Uint8Array }
  /** One of the two does not take what the other holds. */
  | {
      readonly kind: 'apart';
      readonly nodeId: NodeId;
      readonly refused: AnswerRefusalReason | undefined;
      readonly refusedByPeer: AnswerRefusalReason | undefined;
    }
  /** Another node on this platform has this one's place: of two disks of a machine one counts. */
  | { readonly kind: 'replaced'; readonly by: NodeId }
  /** A port or callback threw; the keeper goes on. */
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'not-joined' | 'not-restored'; readonly outcome: Exclude<Proposed, { kind: 'done' }> };

export interface RosterKeeper extends Part {
  view(): RosterView;
  /** The answer to a request of an attested peer. Never throws for what the request says. */
  handle(peer: RosterEntry, payload: Uint8Array): Promise<Uint8Array>;
  peerUp(nodeId: NodeId): void;
  peerDown(nodeId: NodeId): void;
  /**
   * Agrees to evict a member, for an hour, and evicts it if a majority agrees already.
   * @throws KithError `not-a-member`, or why `signal` aborted.
   */
  evict(nodeId: NodeId, options?: { signal?: AbortSignal | undefined }): Promise<Proposed>;
  /** Agrees, for an hour, that nodes of an evicted platform join again. */
  readmit(platform: string): void;
  /**
   * Leaves for good and tells the others; not for restarts. `not-yet` with `nobody-connected` if no other member is
   * connected: then nothing was signed. `not-yet` with `nobody-heard` if no member was reached before `signal` aborted or
   * after some attempts: then it holds its own statement, and may try again.
   */
  leave(options?: { signal?: AbortSignal | undefined }): Promise<Proposed>;
  /**
   * Leaves for good under an earlier id of this node and tells the others: its last place ends as `replaced`. `done` as
   * well if that had ended; `not-yet` with `not-a-member` while this node knows of no place of that id.
   * @param sign Ed25519 with the key of that id.
   * @throws KithError `own-id`: that is what `leave` is for.
   */
  leaveFor(
    oldNodeId: NodeId,
    sign: (message: Uint8Array) => Uint8Array,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Proposed>;
  /** Takes a statement made elsewhere, such as an operator's leave; undefined if it is held now. */
  submit(statement: Uint8Array): Promise<AnswerRefusalReason | undefined>;
  history(): readonly HeldRoster[];
  /** A roster by its hash: now, held lately, or named by a statement; `untilHeight` undefined if not known. */
  byHash(
    rosterHash: Uint8Array,
  ): { readonly members: readonly RosterMember[]; readonly untilHeight: number | undefined } | undefined;
  /** The statement a member's place comes from, for status. */
  placeOf(nodeId: NodeId): StatementId | undefined;
}
