// The only door for CBOR: deterministic encoding (RFC 8949, section 4.2.1) and a decoder that accepts nothing else.
// The library's strict mode alone accepts unsorted maps and ill-formed text and overflows the stack on deep nesting;
// hence the scan before it, which lets only the one encoding of a value pass.

import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import { compareBytes } from './bytes.ts';
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
  return encode(value, ENCODE_OPTIONS);
}

type MapSorter = NonNullable<typeof rfc8949EncodeOptions.mapSorter>;

const ASCII = /^[\x20-\x7e]*$/;

/**
 * The order of the encoded keys without encoding them, which would be most of the time of a small message: of ASCII
 * keys the shorter comes first, as its length is in its first bytes.
 */
const byKey: MapSorter = (a, b) => {
  const [x, y] = [keyOf(a), keyOf(b)];
  if (x === undefined || y === undefined) return rfc8949EncodeOptions.mapSorter!(a, b);
  return x.length - y.length || (x < y ? -1 : 1);
};

function keyOf([key]: Parameters<MapSorter>[0]): string | undefined {
  const value: unknown = Array.isArray(key) ? undefined : key?.value;
  return typeof value === 'string' && ASCII.test(value) ? value : undefined;
}

const ENCODE_OPTIONS = { ...rfc8949EncodeOptions, mapSorter: byKey, ignoreUndefinedProperties: true };

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
 * @throws KithError `too-large`, `malformed`, `bad-shape` or `non-canonical`.
 */
export function decodeCbor<T>(
  bytes: Uint8Array,
  form: Shape<T>,
  { bytesMax, where }: { bytesMax: number; where: string },
): T {
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
  return form.parse(value, where);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isUtf8(bytes: Uint8Array): boolean {
  if (bytes.every((byte) => byte < 0x80)) return true;
  try {
    return isPortableText(strictUtf8.decode(bytes));
  } catch {
    return false;
  }
}

/** The least argument that needs 1, 2, 4 or 8 bytes after the initial one: a smaller one has a shorter form. */
const ARGUMENT_MIN = [24, 2 ** 8, 2 ** 16, 2 ** 32];

/** A list or map that is not at its end. */
interface Open {
  /** Items still to come; of a map keys and values. */
  left: number;
  readonly isMap: boolean;
  /** The key before, as it is encoded. */
  key: Uint8Array | undefined;
}

/**
 * Walks over the items without recursion or allocation by length: depth, lengths, kinds, and that each is encoded in
 * the one way there is (RFC 8949, section 4.2.1): shortest arguments, keys in their order, each once.
 */
function scan(bytes: Uint8Array, where: string): void {
  const refuse = (code: CborErrorCode, why: string): never => {
    throw new KithError<CborErrorCode>(code, `${where}: ${why}`);
  };
  const open: Open[] = [{ left: 1, isMap: false, key: undefined }];
  let offset = 0;
  for (let level = open.at(-1); level; level = open.at(-1)) {
    if (level.left === 0) {
      open.pop();
      continue;
    }
    const isKey = level.isMap && level.left % 2 === 0;
    level.left -= 1;
    if (offset >= bytes.length) refuse('malformed', 'ends inside an item');
    const begins = offset;
    const initial = bytes[offset++]!;
    const major = initial >> 5;
    const additional = initial & 31;
    if (additional > 27) refuse('malformed', 'indefinite lengths and reserved forms are not accepted');
    if (major === 7 && additional !== 20 && additional !== 21 && additional !== 22) {
      refuse('malformed', 'of the simple values only false, true and null are accepted');
    }
    if (major === 6) refuse('malformed', 'tags are not accepted');
    if (isKey && major !== 3) refuse('malformed', 'keys are text');
    let argument = additional;
    if (additional >= 24) {
      const width = 1 << (additional - 24);
      if (offset + width > bytes.length) refuse('malformed', 'ends inside an item');
      argument = 0;
      for (let i = 0; i < width; i++) argument = argument * 256 + bytes[offset + i]!;
      offset += width;
      if (argument < ARGUMENT_MIN[additional - 24]!) refuse('non-canonical', 'a number has a shorter encoding');
    }
    if (major === 2 || major === 3) {
      if (argument > bytes.length - offset) refuse('malformed', 'a string is longer than the message');
      const content = bytes.subarray(offset, offset + argument);
      offset += argument;
      if (major === 3 && !isUtf8(content)) refuse('malformed', 'text is not well-formed UTF-8 without a mark');
      if (!isKey) continue;
      const key = bytes.subarray(begins, offset);
      const order = level.key ? compareBytes(level.key, key) : -1;
      if (order === 0) refuse('malformed', 'a key stands twice in a map');
      if (order > 0) refuse('non-canonical', 'the keys of a map are not in their order');
      level.key = key;
    } else if (major === 4 || major === 5) {
      const isMap = major === 5;
      const items = isMap ? 2 * argument : argument;
      if (items > bytes.length - offset) refuse('malformed', 'a list or map has more items than the message has bytes');
      if (open.length > CBOR_DEPTH_MAX) refuse('malformed', `nested deeper than ${CBOR_DEPTH_MAX} levels`);
      open.push({ left: items, isMap, key: undefined });
    }
  }
  if (offset !== bytes.length) refuse('malformed', `${bytes.length - offset} bytes after its end`);
}
