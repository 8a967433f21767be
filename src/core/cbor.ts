// The only door for CBOR: deterministic encoding (RFC 8949, section 4.2.1) and a decoder that accepts nothing else.
// The library's strict mode alone accepts unsorted maps and overflows the stack on deep nesting; hence the scan
// before it and the re-encoding after it.

import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { equalBytes } from './bytes.ts';
import { KithError } from './errors.ts';
import type { Shape } from './schema.ts';

export type CborErrorCode = 'too-large' | 'malformed' | 'bad-shape' | 'non-canonical';

/** What our messages consist of. Integers are safe integers; maps have string keys; no tags, floats, undefined. */
export type CborValue =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue | undefined };

/** No message of ours nests deeper than six. */
const CBOR_DEPTH_MAX = 8;

/**
 * Deterministic CBOR of `value`; properties that are `undefined` are left out.
 * @throws KithError `malformed` for what `decodeCbor` would refuse on the other side: fractions, unsafe integers,
 * `undefined` in lists, ill-formed text, too deep nesting.
 */
export function encodeCbor(value: CborValue): Uint8Array {
  checkEncodable(value, 0);
  return encodeChecked(value);
}

const encodeChecked = (value: CborValue): Uint8Array =>
  encode(value, { ...rfc8949EncodeOptions, ignoreUndefinedProperties: true });

function checkEncodable(value: CborValue | undefined, depth: number): void {
  const refuse = (why: string): never => {
    throw new KithError<CborErrorCode>('malformed', `not encodable as CBOR: ${why}`);
  };
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) refuse('a number that is no safe integer');
  } else if (typeof value === 'string') {
    if (!isPortableText(value)) refuse('text that is ill-formed or begins with a byte order mark');
  } else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    if (depth === CBOR_DEPTH_MAX) refuse(`nested deeper than ${CBOR_DEPTH_MAX} levels`);
    if (Array.isArray(value)) {
      for (const item of value) checkEncodable(item, depth + 1);
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      checkEncodable(key, depth + 1);
      checkEncodable(item, depth + 1);
    }
  } else if (typeof value !== 'boolean' && typeof value !== 'object') {
    refuse(`a value of type ${typeof value}`);
  }
}

/** Lone surrogates do not survive UTF-8; a mark at the start does not survive the library's decoder. */
const isPortableText = (text: string): boolean => text.isWellFormed() && !text.startsWith('\ufeff');

/**
 * Decodes `bytes`, which must be the deterministic encoding of a value of the shape.
 * Byte strings in the result are copies.
 * @param limits.bytesMax refuse anything longer before looking at it.
 * @param limits.own the bytes are known to be what `encodeCbor` made here (an authentic record of one's own store): the
 * encoding is not compared, which is most of the time of a small message.
 * @throws KithError `too-large`, `malformed`, `bad-shape` or `non-canonical`.
 */
export function decodeCbor<T>(
  bytes: Uint8Array,
  form: Shape<T>,
  limits: { bytesMax: number; where: string; own?: boolean },
): T {
  const { bytesMax, where } = limits;
  if (bytes.length > bytesMax) {
    throw new KithError<CborErrorCode>(
      'too-large',
      `${where}: ${bytes.length} bytes, at most ${bytesMax} are accepted`,
    );
  }
  scan(bytes, where);
  let value: unknown;
  try {
    value = decode(bytes, {
      strict: true,
      rejectDuplicateMapKeys: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowBigInt: false,
      allowInfinity: false,
      allowNaN: false,
    });
  } catch (cause) {
    throw new KithError<CborErrorCode>('malformed', `${where}: not well-formed CBOR`, { cause });
  }
  const typed = form.parse(value, where);
  if (!limits.own && !equalBytes(encodeChecked(value as CborValue), bytes)) {
    throw new KithError<CborErrorCode>('non-canonical', `${where}: not the deterministic encoding of its value`);
  }
  return typed;
}

/** Walks over the items without recursion or allocation by length: depth, lengths, kinds. */
function scan(bytes: Uint8Array, where: string): void {
  const malformed = (why: string): never => {
    throw new KithError<CborErrorCode>('malformed', `${where}: ${why}`);
  };
  // Items still to come at each open level.
  const pending: number[] = [1];
  let offset = 0;
  while (pending.length > 0) {
    const left = pending.at(-1)!;
    if (left === 0) {
      pending.pop();
      continue;
    }
    pending[pending.length - 1] = left - 1;
    if (offset >= bytes.length) malformed('ends inside an item');
    const initial = bytes[offset++]!;
    const major = initial >> 5;
    const additional = initial & 31;
    if (additional > 27) malformed('indefinite lengths and reserved forms are not accepted');
    if (major === 7 && additional !== 20 && additional !== 21 && additional !== 22) {
      malformed('of the simple values only false, true and null are accepted');
    }
    if (major === 6) malformed('tags are not accepted');
    let argument = additional;
    if (additional >= 24) {
      const width = 1 << (additional - 24);
      if (offset + width > bytes.length) malformed('ends inside an item');
      argument = 0;
      for (let i = 0; i < width; i++) argument = argument * 256 + bytes[offset + i]!;
      offset += width;
    }
    if (major === 2 || major === 3) {
      if (argument > bytes.length - offset) malformed('a string is longer than the message');
      offset += argument;
    } else if (major === 4 || major === 5) {
      const items = major === 5 ? 2 * argument : argument;
      if (items > bytes.length - offset) malformed('a list or map has more items than the message has bytes');
      if (pending.length > CBOR_DEPTH_MAX) malformed(`nested deeper than ${CBOR_DEPTH_MAX} levels`);
      pending.push(items);
    }
  }
  if (offset !== bytes.length) malformed(`${bytes.length - offset} bytes after its end`);
}
