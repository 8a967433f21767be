// What is inside sealed frames of request streams: four bytes of request id, then the content; and how a handler's
// error travels: as a code and one line, never with a stack.

import { concatBytes, u32be } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { isKithError, type KithError, printable } from '../../core/errors.ts';
import { closed, shape, Type, text } from '../../core/schema.ts';
import { peerRefused } from '../errors.ts';
import { violation } from './flow.ts';

export const REQUEST_ID_BYTES = 4;
/** Enough to say what was wrong with which field; more could carry what it should not. */
const DETAIL_CHARS_MAX = 256;
const FAILURE_BYTES_MAX = 2_048;

const failureShape = shape(
  closed({
    code: Type.Refine(
      text(64, 1),
      (code) => /^[a-z0-9-]+$/.test(code),
      () => 'must be a code',
    ),
    detail: text(DETAIL_CHARS_MAX + 3),
  }),
);

export const withId = (id: number, content: Uint8Array): Uint8Array => concatBytes(u32be(id), content);

/** @throws KithError `protocol-violation`. */
export function splitId(protocol: string, payload: Uint8Array): { id: number; content: Uint8Array } {
  if (payload.length < REQUEST_ID_BYTES) throw violation(protocol, 'a frame without a request id');
  const view = new DataView(payload.buffer, payload.byteOffset, REQUEST_ID_BYTES);
  return { id: view.getUint32(0), content: payload.subarray(REQUEST_ID_BYTES) };
}

/** What the peer is told of an error: the code and message of an expected one, nothing of any other. */
export function encodeFailure(error: unknown): Uint8Array {
  const expected = isKithError(error) && error.code !== 'internal' && /^[a-z0-9-]{1,64}$/.test(error.code);
  const code = expected ? error.code : 'internal';
  const detail = expected ? printable(error.message.toWellFormed(), DETAIL_CHARS_MAX) : 'the request failed';
  // A cut may leave half of a surrogate pair.
  return encodeCbor({
    code,
    detail: detail
      .toWellFormed()
      .slice(0, DETAIL_CHARS_MAX + 3)
      .toWellFormed(),
  });
}

/** @returns the KithError `peer-refused`; see `refusalOf`. @throws KithError `protocol-violation`. */
export function decodeFailure(protocol: string, content: Uint8Array): KithError {
  try {
    const { code, detail } = decodeCbor(content, failureShape, { bytesMax: FAILURE_BYTES_MAX, where: protocol });
    return peerRefused(code, printable(detail, DETAIL_CHARS_MAX));
  } catch (error) {
    if (isKithError(error)) throw violation(protocol, error.message);
    throw error;
  }
}
