// What goes wrong between nodes, and how a refusal by the other side is told from a failure on this one.

import { isKithError, KithError } from '../core/errors.ts';

/** Failures of connections and streams; most of them cut the connection. */
export type MeshErrorCode =
  /** The transport could not connect, open a stream or write. */
  | 'unreachable'
  | 'bad-address'
  /** An address to listen on is taken, or none of this machine. */
  | 'cannot-listen'
  | 'dialled-self'
  | 'connection-closed'
  | 'stream-aborted'
  /** A stream ended without its end frame, or inside a frame. */
  | 'truncated'
  | 'after-end'
  | 'frame-too-large'
  /** A sealed frame was seen before, came out of order, or one before it is missing. */
  | 'frame-replayed'
  | 'frame-missing'
  /** A sealed frame does not open. */
  | 'frame-forged'
  | 'protocol-violation'
  | 'not-attested'
  | 'unknown-protocol'
  | 'attestation-expired'
  | 'attestation-refused'
  | 'too-many'
  | 'peer-silent'
  | 'peer-stalled'
  | 'duplicate-connection'
  | 'superseded'
  | 'excluded'
  | 'stopped'
  /** The caller has too many requests waiting for one peer. */
  | 'requests-busy'
  | 'request-too-large'
  | 'not-connected'
  /** The peer answered a request with a refusal: see `refusalOf`. */
  | 'peer-refused'
  | 'over-budget'
  | 'bad-limits';

/** A stable code and one line, as a handler answered it on the other side. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** What the peer refused a request with, undefined if `error` is a failure of another kind. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!isKithError(error, 'peer-refused') || !isKithError(error.cause)) return undefined;
  return { code: error.cause.code, message: error.cause.message };
}

export const peerRefused = (code: string, message: string): KithError<MeshErrorCode> =>
  new KithError<MeshErrorCode>('peer-refused', `the peer refused: ${code}: ${message}`, {
    cause: new KithError(code, message),
  });
