// Error codes of this module.

import { KithError } from '../core/errors.ts';

export type FmdErrorCode =
  /** A scalar, point, bit string or encoding that is not canonical or not of the right length. */
  | 'bad-encoding'
  /** A detection key with repeated, missing or too large indices, or too many subkeys. */
  | 'bad-detection-key'
  /** gamma, threshold or n outside its range. */
  | 'bad-parameter'
  /** More detection jobs are waiting than the engine takes. */
  | 'engine-busy'
  /** A detection worker could not be started, or a unit of work failed in it. */
  | 'worker-failed'
  /** The engine was stopped. */
  | 'engine-stopped';

export function fmdError(code: FmdErrorCode, message: string): KithError<FmdErrorCode> {
  return new KithError(code, message);
}
