// Every way the chain side fails, by code. The first group is about one answer and is retried; the second says that
// an upstream contradicts itself, another one or what is stored, and ends its use.

import { KithError } from '../core/errors.ts';

export type IndexerErrorCode =
  /** No answer: connection refused, reset, timed out. */
  | 'upstream-unreachable'
  /** An answer that is not what was asked for: not JSON, another shape, inconsistent with itself. */
  | 'bad-answer'
  /** An answer above the limit; a range is then asked for in halves. */
  | 'answer-too-large'
  /** The upstream said no, with a reason. */
  | 'upstream-refused'
  /** The upstream has not (yet, or no longer) the block asked for. */
  | 'height-unavailable'
  | 'wrong-chain'
  | 'went-backwards'
  | 'chain-disagreement'
  | 'store-corrupt'
  | 'store-rolled-back'
  | 'bad-options'
  /** A transaction the chain's mempool did not take. */
  | 'transaction-refused';

/** What a stopped indexer can have stopped for. */
export type StopCode = Extract<
  IndexerErrorCode,
  'wrong-chain' | 'went-backwards' | 'chain-disagreement' | 'store-corrupt' | 'store-rolled-back'
>;

const STOP_CODES: ReadonlySet<string> = new Set<StopCode>([
  'wrong-chain',
  'went-backwards',
  'chain-disagreement',
  'store-corrupt',
  'store-rolled-back',
]);

/** Whether no further attempt can help. */
export function isStop(error: unknown): error is KithError<StopCode> {
  return error instanceof KithError && STOP_CODES.has(error.code);
}

export function indexerError(code: IndexerErrorCode, message: string, cause?: unknown): KithError<IndexerErrorCode> {
  return new KithError(code, message, cause === undefined ? undefined : { cause });
}
