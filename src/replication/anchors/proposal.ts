// An anchor before it is signed, made alike by its proposer and by every signer from the operations it is to name.

import type { NodeId } from '../../core/ids.ts';
import { merkleRoot } from '../../core/merkle.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { OperationRef } from '../log-entry.ts';
import { type AnchorBody, NO_ANCHOR_HASH, proposersOf } from './anchor.ts';
import type { Head } from './ledger-port.ts';
import { EPOCH_BLOCKS, SEQ_LIMIT, TAGS_LARGE, TAGS_SMALL, TURN_BLOCKS } from './limits.ts';
import { buildTags, sortedIds } from './tags.ts';

/** @param place epoch, seq, previous, and the roster that is to sign. */
export function bodyOf(
  place: Pick<AnchorBody, 'epoch' | 'seq' | 'previous' | 'rosterHash'>,
  tagKey: Uint8Array,
  refs: readonly OperationRef[],
): AnchorBody {
  const ids = sortedIds(refs.map(({ opId }) => opId));
  const count = ids.length > TAGS_SMALL ? TAGS_LARGE : TAGS_SMALL;
  const { epoch, seq, previous, rosterHash } = place;
  return { epoch, seq, previous, rosterHash, root: merkleRoot(ids), tags: buildTags(tagKey, seq, ids, count) };
}

/** Which of the turns of its epoch a height is in: 0 to 3. */
export const turnAt = (height: number): number => Math.floor((height % EPOCH_BLOCKS) / TURN_BLOCKS);

/** Whose turn it is at a height. With fewer members than turns, the first come again. */
export function proposerAt(
  height: number,
  rosterHash: Uint8Array,
  members: readonly RosterEntry[],
): NodeId | undefined {
  const ranked = proposersOf(Math.floor(height / EPOCH_BLOCKS), rosterHash, members);
  return ranked[turnAt(height) % Math.max(1, ranked.length)]?.nodeId;
}

/**
 * What is to be proposed in an epoch after a head: the first anchor always, whatever there is to tell; a further one
 * only if the one before was full and there is more. Undefined: nothing.
 */
export function nextPlace(
  epoch: number,
  head: Head | undefined,
  operations: number,
): { readonly seq: number; readonly previous: Uint8Array } | undefined {
  if (!head) return { seq: 0, previous: NO_ANCHOR_HASH };
  if (head.epoch > epoch) return undefined;
  if (head.epoch < epoch) return { seq: 0, previous: head.hash };
  if (!head.full || operations === 0 || head.seq + 1 === SEQ_LIMIT) return undefined;
  return { seq: head.seq + 1, previous: head.hash };
}
