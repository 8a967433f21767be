// What a key server keeps for one owner: a committed deal, a pending one, the newest journal head.

import { equalBytes } from '../core/bytes.ts';
import type { NodeId } from '../core/ids.ts';
import { Secret } from '../core/secret.ts';
import { compareHeads, type JournalHead } from './journal-head.ts';
import { OWNERS_MAX, OWNERS_PER_PLATFORM_MAX } from './limits.ts';
import type { DealtShare } from './messages.ts';

/** One node whose share is kept: what a server that is about to stop must think of. */
export interface KeptOwner {
  readonly nodeId: NodeId;
  /** Of the committed deal, if there is one, else of the pending. */
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly shares: number;
  /** All of that deal, this server among them. */
  readonly keyServers: readonly NodeId[];
  readonly committed: boolean;
}

export interface Kept extends DealtShare {
  readonly dealId: Uint8Array;
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly keyServers: readonly NodeId[];
}

export interface Owner {
  readonly nodeId: NodeId;
  readonly storeIdHash: Uint8Array;
  platform: string;
  operator: string;
  /** Its header is, or was, on the owner's disk. */
  current: Kept | undefined;
  /** Its header may be on the owner's disk. */
  pending: Kept | undefined;
  head: JournalHead | undefined;
  /** Who was given the shares last. */
  attemptId: Uint8Array | undefined;
}

export const sameId = (kept: Kept | undefined, dealId: Uint8Array | undefined): boolean =>
  kept !== undefined && dealId !== undefined && equalBytes(kept.dealId, dealId);

export const newOwner = (
  { nodeId, platform, operator }: Pick<Owner, 'nodeId' | 'platform' | 'operator'>,
  storeIdHash: Uint8Array,
): Owner => ({
  nodeId,
  storeIdHash,
  platform,
  operator,
  current: undefined,
  pending: undefined,
  head: undefined,
  attemptId: undefined,
});

export function hasRoom(owners: ReadonlyMap<NodeId, Owner>, { platform }: { readonly platform: string }): boolean {
  if (owners.size >= OWNERS_MAX) return false;
  let beside = 0;
  for (const owner of owners.values()) beside += Number(owner.platform === platform);
  return beside < OWNERS_PER_PLATFORM_MAX;
}

/** The key epoch that a new deal must be above. A pending deal of an earlier boot gives way to any. */
export function epochToExceed({ current, pending }: Owner, incarnation: number): number {
  const committed = current?.keyEpoch ?? -1;
  // A deal of the pending epoch replaces it: its dealer gave it up.
  return pending?.incarnation === incarnation ? Math.max(committed, pending.keyEpoch - 1) : committed;
}

export function promote(owner: Owner): void {
  owner.current?.share.wipe();
  owner.current = owner.pending;
  owner.pending = undefined;
}

export function replacePending(owner: Owner, kept: Kept): void {
  owner.pending?.share.wipe();
  owner.pending = kept;
}

export function dropBelow(owner: Owner, keyEpoch: number): void {
  for (const place of ['current', 'pending'] as const) {
    const kept = owner[place];
    if (!kept || kept.keyEpoch >= keyEpoch) continue;
    kept.share.wipe();
    owner[place] = undefined;
  }
}

export function noteHead(owner: Owner, head: JournalHead | undefined): void {
  if (!head || (owner.head && compareHeads(head, owner.head) <= 0)) return;
  owner.head = { incarnation: head.incarnation, sequence: head.sequence, hash: head.hash.slice() };
}

/** A copy of our own: what came in is the caller's to wipe. */
export const keep = (dealt: DealtShare): DealtShare => ({
  header: dealt.header.slice(),
  index: dealt.index,
  share: Secret.copy(dealt.share.expose()),
  commitments: dealt.commitments.map((commitment) => commitment.slice()),
  incarnation: dealt.incarnation,
  bootKey: dealt.bootKey.slice(),
  signature: dealt.signature.slice(),
});

export function describe({ nodeId, current, pending }: Owner): KeptOwner {
  const { keyEpoch, threshold, commitments, keyServers } = (current ?? pending)!;
  return { nodeId, keyEpoch, threshold, shares: commitments.length, keyServers, committed: current !== undefined };
}

export function wipeOwner(owner: Owner | undefined): void {
  owner?.current?.share.wipe();
  owner?.pending?.share.wipe();
}
