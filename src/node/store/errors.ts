// Error codes of this module.

import { KithError } from '../../core/errors.ts';

export type StoreErrorCode =
  /** A record was rolled back, dropped, moved or added behind the node's back. */
  | 'store-mixed'
  /** Something on the disk is not readable, not authentic, or not of this format. */
  | 'store-corrupt'
  /** The records belong to another cluster, node or store than the header says. */
  | 'store-other-cluster'
  /** Another process has the store open. */
  | 'store-locked'
  /** The sealing key is not the one the header was written for. */
  | 'store-wrong-key'
  /** The disk took no more: nothing of the batch counts, later ones may succeed. */
  | 'store-full'
  /** More writes are waiting than the store takes. */
  | 'store-busy'
  | 'store-closed'
  /** It was set aside: it is read, and never written. */
  | 'store-read-only'
  /** The folder cannot be opened: no right to it, or the disk fails. */
  | 'store-unavailable'
  /** A new store was asked for where there are records already. */
  | 'store-not-empty'
  /** A value, key or label that the store does not take. */
  | 'bad-record'
  | 'header-missing'
  /** The header is truncated, malformed or of another version. */
  | 'header-corrupt'
  /** The header's signature is not its node's. */
  | 'header-forged';

export function storeError(code: StoreErrorCode, message: string, cause?: unknown): KithError<StoreErrorCode> {
  return new KithError(code, message, cause === undefined ? undefined : { cause });
}
