// What a node holds of the cluster's operations, as sync sees it: a port, implemented by src/node over the sealed
// store. Everything that comes in is checked and merged here (admission, merge), synced, and only then answered.

import type { NodeId, OpId, RegId } from '../core/ids.ts';
import type { BatchReceipt } from '../core/receipt.ts';
import type { Operation } from '../core/registration/operation.ts';
import type { RegistrationKeys } from '../core/registration/payload.ts';
import type { Refusal } from '../core/registration/refusal.ts';
import type { LogEntry, OperationRef, Writer, WriterId } from './log-entry.ts';

/** An operation with what is needed to serve it. */
export interface OperationBody {
  readonly operation: Operation;
  /** Of a register, while its keys are held. */
  readonly keys: RegistrationKeys | undefined;
}

/** How far a log is held here: every entry up to `seq`. */
export interface LogPosition {
  readonly writer: Writer;
  readonly seq: number;
  /** Of entry `seq`. */
  readonly hash: Uint8Array;
  /** The lowest entry that is still kept; those before it were forgotten, or came by snapshot. */
  readonly first: number;
  /** Highest expiryHeight of its entries. */
  readonly expiryHeight: number;
  /** The writer signed two different entries at one place: nothing more of this log is taken. */
  readonly quarantined?: true;
}

/** An entry with the bodies of its operations, in their order; undefined for one that nobody needs any more. */
export interface EntryWithBodies {
  readonly entry: LogEntry;
  readonly bodies: readonly (OperationBody | undefined)[];
}

export type EntryOutcome =
  /** Synced, or it was before. */
  | { readonly kind: 'taken' }
  /** Not the next of its log: `seq` is held. Nothing of it was taken. */
  | { readonly kind: 'gap'; readonly seq: number }
  /** Another entry is held at its place: evidence is kept, the writer's log takes nothing more. Operations were merged. */
  | { readonly kind: 'equivocation' }
  /** An operation cannot be taken (yet: `version-in-future`; or ever). Nothing of the entry was taken. */
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The signature or shape of the entry or a body is wrong: whoever sent it did not check it. */
  | { readonly kind: 'invalid'; readonly why: string };

export type BodyOutcome = 'taken' | 'known' | Refusal;

/** Never throws for what others sent; KithErrors of the store mean that nothing of the call was taken. */
export interface Replica {
  /** All logs with entries or a position, this boot's own included. */
  positions(): readonly LogPosition[];
  position(writer: WriterId): LogPosition | undefined;
  /** Entries from `from` on in order, at least one if there is one, at most `bytesMax` with their bodies. */
  read(writer: WriterId, from: number, bytesMax: number): Promise<EntryWithBodies[]>;
  /** Takes entries (of any writers, in order) with their operations, in as few synced batches as possible. */
  take(entries: readonly EntryWithBodies[]): Promise<EntryOutcome[]>;
  /** Takes operations that no entry at hand names: fetched, audited, from a snapshot. */
  takeBodies(bodies: readonly OperationBody[]): Promise<BodyOutcome[]>;
  /** From a snapshot, after all its operations were taken: these logs count as held up to there. Never lowers. */
  adopt(positions: readonly LogPosition[]): Promise<void>;
  /** The body of an operation that still counts. */
  body(ref: OperationRef): Promise<OperationBody | undefined>;
  /** The operations that count for a registration (at most two), with keys if held. */
  bodiesOf(regId: RegId): Promise<OperationBody[]>;
  /** Which of these operations are held, or were and do not count any more because of one that is. */
  holds(ref: OperationRef): Promise<boolean>;
  /**
   * Every registration with the ids of its operations, and whether its keys are held; in no order. For audit and
   * snapshot, which go on with other work in between: what is there throughout comes once, changes do not break it.
   */
  states(): Iterable<{ readonly regId: RegId; readonly opIds: readonly OpId[]; readonly keys: boolean }>;
  /** Open registrations whose keys are missing here. */
  wanted(): readonly RegId[];
  /** Signed for operations that are synced here; undefined while this node may give none (rollback). */
  receipt(opIds: readonly OpId[]): BatchReceipt | undefined;
  /** Calls back after entries of this boot's own log were synced. Returns what ends that. */
  onAppended(listener: () => void): () => void;
}

/** Another member that replication can talk to. */
export interface SyncPeer {
  readonly nodeId: NodeId;
  readonly platform: string;
  readonly operator: string;
  /** As it last said. */
  readonly phase: string;
  request(
    payload: Uint8Array,
    options: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  ): Promise<Uint8Array>;
  openBulk(payload: Uint8Array, options: { readonly signal: AbortSignal }): AsyncIterable<Uint8Array>;
}

export interface SyncPeers {
  /** Proven, connected members. */
  list(): readonly SyncPeer[];
  /** Calls back when one comes, goes, or changes its phase. Returns what ends that. */
  onChange(listener: () => void): () => void;
}
