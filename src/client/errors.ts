// Error codes of this module. A refusal by a node keeps the code of its problem.

import { isKithError, KithError } from '../core/errors.ts';

export type ClientErrorCode =
  /** No answer, or none in time. */
  | 'node-unreachable'
  /** An answer that is not what the API describes. */
  | 'bad-answer'
  /** The node's evidence is not believed: nothing was sent to it. */
  | 'node-not-believed'
  /** The answer to a sealed request was not made by the node it was sealed to. */
  | 'forged-answer'
  | 'bad-wallet'
  /** A certificate file that cannot be read, or is of another wallet or cluster. */
  | 'bad-certificate'
  /** No store of the node waits for recovery shares. */
  | 'not-recovering'
  /** The node does not know the chain yet; as a refusal, also whatever else it still waits for. */
  | 'not-ready'
  /** The time given was over before the index set reached the height. */
  | 'not-synced'
  /** None of several nodes could be used, for different reasons. */
  | 'no-node';

/** What a node itself (or somebody before it: nothing authenticates it) gave as the reason; the code is its own. */
export interface NodeRefusal extends KithError {
  /** Of HTTP. */
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

/** Whether `error` is a refusal by a node, and, if codes are given, one with any of them. */
export function isNodeRefusal(error: unknown, ...codes: string[]): error is NodeRefusal {
  return isKithError(error, ...codes) && 'retryAfterSeconds' in error;
}

/** Whether the same request may succeed later: no answer, not ready, too many requests. */
export const passesWithTime = (error: unknown): boolean =>
  isNodeRefusal(error) ? error.status === 503 || error.status === 429 : isKithError(error, 'node-unreachable');

/** One error for the failures of several nodes: under their code if they agree, with the reasons of all. */
export function noNode(failures: readonly KithError[]): KithError {
  const [first] = failures;
  if (failures.length === 1 && first) return first;
  const code = first && failures.every((one) => one.code === first.code) ? first.code : 'no-node';
  return new KithError(code, failures.map(({ message }) => message).join('; '), { cause: first });
}

export function clientError(code: ClientErrorCode, message: string, cause?: unknown): KithError<ClientErrorCode> {
  return new KithError(code, message, cause === undefined ? undefined : { cause });
}
