// Error codes of this module. A refusal by a node keeps the code of its problem.

import { KithError } from '../core/errors.ts';

export type ClientErrorCode =
  /** No answer, or none in time. */
  | 'node-unreachable'
  /** An answer that is not what the API describes. */
  | 'bad-answer'
  /** The node's evidence is not believed: nothing was sent to it. */
  | 'node-not-believed'
  /** The answer to a sealed request was not made by the node it was sealed to. */
  | 'forged-answer'
  | 'bad-wallet';

export function clientError(code: ClientErrorCode, message: string, cause?: unknown): KithError<ClientErrorCode> {
  return new KithError(code, message, cause === undefined ? undefined : { cause });
}
