// Whether the disk is older than what the members remember of this node. A store cannot notice that alone: every state
// it ever had is genuine.

import { equalBytes } from '../core/bytes.ts';
import { compareHeads, type JournalHead } from '../keyserver/index.ts';
import type { StoreHead } from './store/index.ts';

export interface Rollback {
  /** Number of the batch the store ends with. */
  readonly found: number;
  /** The highest that any member remembers. */
  readonly remembered: number;
}

/**
 * @param heads as the key servers gave them with the shares, and as other members remember them: one that remembers more
 *   is enough, since none can remember what this node did not sign. The members must be asked before this boot says a
 *   head of its own to them: its incarnation is higher than all they remember.
 */
export function findRollback(own: StoreHead, heads: readonly { readonly head: JournalHead }[]): Rollback | undefined {
  const newest = heads
    .map(({ head }) => head)
    .sort(compareHeads)
    .at(-1);
  if (!newest || !isBehind(own, newest)) return undefined;
  return { found: own.batchSeq, remembered: newest.sequence };
}

/** At the same number the same state: the number of a batch that was lost in a crash is used again. */
function isBehind(own: StoreHead, { sequence, hash }: JournalHead): boolean {
  return own.batchSeq < sequence || (own.batchSeq === sequence && !equalBytes(own.rootHash, hash));
}
