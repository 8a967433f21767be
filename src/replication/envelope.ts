// The envelope of `/kith/replicate/1`: which part of replication a request is for. Each part reads its own body.

import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { bytesUpTo, closed, shape, Type } from '../core/schema.ts';

/** Of a whole message: the limit of the protocol. */
export const MESSAGE_BYTES_MAX = 262_144;
/** The name of the part and the heads of a map take less than the difference. */
export const BODY_BYTES_MAX = MESSAGE_BYTES_MAX - 64;

export type EnvelopeKind = 'sync' | 'anchors' | 'heights';

export interface Envelope {
  readonly kind: EnvelopeKind;
  readonly body: Uint8Array;
}

const envelopeShape = shape(
  closed({
    kind: Type.Union([Type.Literal('sync'), Type.Literal('anchors'), Type.Literal('heights')]),
    body: bytesUpTo(BODY_BYTES_MAX),
  }),
);

export const encodeEnvelope = ({ kind, body }: Envelope): Uint8Array => encodeCbor({ kind, body });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeEnvelope = (encoded: Uint8Array, where = 'replicate request'): Envelope =>
  decodeCbor(encoded, envelopeShape, { bytesMax: MESSAGE_BYTES_MAX, where });
