// The node's side of a total restart: takes recovery shares one by one, keeps only those its store's wrapping commits
// to, and gives the data key with the last one needed. What is held is bounded by the threshold.

import { equalBytes } from '../core/bytes.ts';
import type { Secret } from '../core/secret.ts';
import type { RecoveryShare } from './recovery-keys.ts';
import {
  commitToDataKey,
  commitToRecoveryShare,
  parseRecoveryWrap,
  type RecoveryContext,
  wrapIdOf,
} from './recovery-wrap.ts';
import { combineShares, type Share } from './shares.ts';

export type ShareEntered =
  | {
      readonly kind: 'taken';
      /** Owned by the caller; with the last share needed, and only then. */
      readonly dataKey: Secret | undefined;
    }
  | {
      readonly kind: 'refused';
      readonly reason: /** The share is of another store. */
        | 'wrong-store'
        /** Of this store, but of an earlier or later wrapping of its key: fetch that of this node again. */
        | 'other-wrap'
        /** Not what the node committed to. */
        | 'bad-share'
        /** It was entered before; nothing changed. */
        | 'duplicate'
        /** All shares are as committed and give another key than committed: the wrapping itself is bad. */
        | 'bad-wrap'
        /** The key was given already, or nobody waits for it any more. */
        | 'closed';
    };

export interface RecoveryCollector {
  readonly wrapId: Uint8Array;
  readonly needed: number;
  /** Shares taken so far; `needed` once the key was given. */
  readonly entered: number;
  /** Takes over the share's value: it is kept, or wiped. */
  enter(share: RecoveryShare): ShareEntered;
  /** Forgets all shares; nothing more is taken. Idempotent. */
  wipe(): void;
}

/**
 * A collector for the store of `context`.
 * @param wrapped of the header of that store.
 * @throws KithError `bad-recovery-wrap`.
 */
export function createRecoveryCollector(wrapped: Uint8Array, context: RecoveryContext): RecoveryCollector {
  const wrap = parseRecoveryWrap(wrapped);
  const wrapId = wrapIdOf(context, wrap);
  const taken = new Map<number, Share>();
  let state: 'open' | 'complete' | 'bad' | 'wiped' = 'open';

  const forget = () => {
    for (const { value } of taken.values()) value.wipe();
    taken.clear();
  };

  function check({ wrapId: of, storeIdHash, index, value }: RecoveryShare) {
    if (!equalBytes(storeIdHash, context.storeIdHash)) return 'wrong-store';
    if (!equalBytes(of, wrapId)) return 'other-wrap';
    const sealed = wrap.shares[index - 1];
    if (!sealed || !equalBytes(commitToRecoveryShare(context, wrap, { index, value }), sealed.commitment)) {
      return 'bad-share';
    }
    if (state === 'bad') return 'bad-wrap';
    if (state !== 'open') return 'closed';
    return taken.has(index) ? 'duplicate' : undefined;
  }

  function complete(): ShareEntered {
    const dataKey = combineShares([...taken.values()], wrap.threshold);
    forget();
    if (equalBytes(commitToDataKey(context, dataKey), wrap.keyCommitment)) {
      state = 'complete';
      return { kind: 'taken', dataKey };
    }
    dataKey.wipe();
    state = 'bad';
    return { kind: 'refused', reason: 'bad-wrap' };
  }

  return {
    wrapId,
    needed: wrap.threshold,
    get entered() {
      return state === 'complete' ? wrap.threshold : taken.size;
    },
    enter(share) {
      const reason = check(share);
      if (reason) {
        share.value.wipe();
        return { kind: 'refused', reason };
      }
      taken.set(share.index, { index: share.index, value: share.value });
      return taken.size === wrap.threshold ? complete() : { kind: 'taken', dataKey: undefined };
    },
    wipe() {
      forget();
      if (state === 'open') state = 'wiped';
    },
  };
}
