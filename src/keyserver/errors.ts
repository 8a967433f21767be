// Error codes of this module. What a key server refuses is an answer, not an error: `RefusalReason` in messages.ts.

import { KithError } from '../core/errors.ts';

export type KeyserverErrorCode =
  /** A split that cannot be: key length, threshold or number of shares. */
  | 'bad-split'
  /** Shares that cannot be combined: too few, doubled, or of different lengths. */
  | 'bad-shares'
  /** A migration ticket that is not of the described form. */
  | 'bad-ticket'
  /** The header beside the store is unreadable or not signed by the node it names. */
  | 'bad-header'
  /** Recovery keys that nothing can be wrapped to: none, too many, one twice, one that is no key; or the threshold. */
  | 'bad-recovery-keys'
  /** A data key wrapped to recovery keys that is not of the described form. */
  | 'bad-recovery-wrap'
  /** The recovery key is not among those a data key was wrapped to. */
  | 'not-a-holder'
  /** A recovery share that cannot be opened, or is not the one that was committed to. */
  | 'bad-recovery-share';

export function keyserverError(
  code: KeyserverErrorCode,
  message: string,
  cause?: unknown,
): KithError<KeyserverErrorCode> {
  return new KithError(code, message, cause === undefined ? undefined : { cause });
}
