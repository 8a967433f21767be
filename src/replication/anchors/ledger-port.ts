// What the ledger of anchors offers to the rest of this module, and the words it uses.

import type { NodeId } from '../../core/ids.ts';
import type { OperationRef } from '../log-entry.ts';
import type { Anchor, CertificateVerdict } from './anchor.ts';
import { SEQ_LIMIT } from './limits.ts';
import type { Line } from './line.ts';
import type { LogKeyRecord, LogKeyring } from './log-key.ts';
import type { Pending } from './pending.ts';
import type { Anchored } from './records.ts';
import type { WantedTags } from './wanted.ts';

export type Verdict =
  | 'accepted'
  /** It is there. */
  | 'known'
  /** Something as late or later was accepted, or it came too late into a block. */
  | 'late'
  /** In a block before its epoch began. */
  | 'early'
  /** Not after the newest in the way anchors follow one another. */
  | 'bad-position'
  | 'unknown-roster'
  /** Of a roster that was left long before its epoch. */
  | 'old-roster'
  | Exclude<CertificateVerdict, 'valid'>;

/** The newest anchor that counts. */
export interface Head {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Uint8Array;
  /** It names 512 operations: the next may follow in the same epoch. */
  readonly full: boolean;
}

export interface AnchorLedger {
  readonly keyring: LogKeyring;
  readonly line: Line;
  readonly pending: Pending;
  readonly wanted: WantedTags;
  readonly cursor: number;
  /** Position of the first anchor that counts here. */
  readonly base: number;
  head(): Head | undefined;
  load(): Promise<void>;
  takeKey(record: LogKeyRecord): Promise<void>;
  /** @param from height of the block that carries it; undefined: a member brought it. */
  consider(anchor: Anchor, from: number | undefined): Promise<Verdict>;
  /** Takes an anchor that a later one names. */
  ancestor(anchor: Anchor): Promise<boolean>;
  /** The cursor moves; what it passed is given up. Written at the end of an epoch or if `now`. */
  moveTo(cursor: number, options?: { now?: boolean }): Promise<void>;
  anchorAt(position: number): Promise<Uint8Array | undefined>;
  indexAt(position: number): Promise<Anchored[]>;
  /** Positions with records of operations, ascending. */
  indexed(): readonly number[];
  /** From another member: what it knows an anchor names. */
  takeIndex(position: number, entries: readonly Anchored[]): Promise<void>;
  /** These are held now, or were found: not wanted any more. Only what makes the wanted tags counts. */
  settle(position: number, refs: readonly OperationRef[]): Promise<number>;
  /** A member says nobody needs these any more; at a quorum that is believed. */
  heardGone(position: number, tags: readonly string[], from: NodeId): Promise<void>;
  /** Operations came in: those that no anchor names are pending. */
  taken(refs: readonly OperationRef[]): void;
  /** Whether this node would know every operation of an anchor that anybody still needs. */
  isComplete(position: number): boolean;
  wipe(): void;
}

/** Whether an anchor's number follows a position: seq counts on within an epoch and begins anew with each. */
export function isNext(position: number, { epoch, seq }: { readonly epoch: number; readonly seq: number }): boolean {
  const headEpoch = Math.floor(position / SEQ_LIMIT);
  return epoch === headEpoch ? seq === (position % SEQ_LIMIT) + 1 : epoch > headEpoch && seq === 0;
}
