// The serde forms of polyfuzzy 0.5.0, as JSON and CBOR: structures as maps in field order, byte strings as lists of
// numbers. Read strictly: what does not re-encode to the same bytes is refused.

import { decode, encode } from 'cborg';
import { equalBytes, utf8 } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { closed, list, type Shape, shape, uint } from '../core/schema.ts';
import { fmdError } from './errors.ts';
import { checkFlag, type Flag } from './flag.ts';
import {
  type CompactPublicKey,
  type CompactSecretKey,
  type DetectionKey,
  decodePublicKey,
  decodeSecretKey,
  encodePublicKey,
  encodeSecretKey,
  makeDetectionKey,
} from './keys.ts';
import { GAMMA_MAX, THRESHOLD_MAX } from './limits.ts';

export type PolyfuzzyForm = 'json' | 'cbor';

/** The largest of these values (64 subkeys, each number up to five characters) stays below it. */
const ENCODED_BYTES_MAX = 32_768;

const byte = uint(255);
const bytes32 = list(byte, 32, 32);
const coefficientsShape = shape(closed({ coeffs: list(bytes32, THRESHOLD_MAX + 1, 1) }));
const subkeysShape = shape(list(bytes32, GAMMA_MAX, 1));
const detectionKeyShape = shape(
  closed({ subkeys: list(bytes32, GAMMA_MAX, 1), indices: list(uint(GAMMA_MAX - 1), GAMMA_MAX, 1) }),
);
const flagShape = shape(closed({ basepoint_ch: bytes32, u: bytes32, y: bytes32, c: list(byte, GAMMA_MAX / 8, 1) }));

function write(value: unknown, form: PolyfuzzyForm): Uint8Array {
  if (form === 'json') return utf8(JSON.stringify(value));
  // Structures keep their field order: a sorter that finds all keys equal.
  return encode(value, { mapSorter: () => 0 });
}

function read<T>(encoded: Uint8Array, form: PolyfuzzyForm, expected: Shape<T>, what: string): T {
  if (encoded.length > ENCODED_BYTES_MAX) {
    throw fmdError('bad-encoding', `${what}: at most ${ENCODED_BYTES_MAX} bytes, got ${encoded.length}`);
  }
  const value = form === 'json' ? parseJson(new TextDecoder().decode(encoded), what) : decodeCbor(encoded, what);
  const typed = expected.parse(value, what);
  if (!equalBytes(write(typed, form), encoded)) {
    throw fmdError('bad-encoding', `${what}: not written as polyfuzzy writes it`);
  }
  return typed;
}

/** Whatever the library throws, an exhausted stack on deep nesting included, means that this is none of our values. */
function decodeCbor(encoded: Uint8Array, what: string): unknown {
  try {
    return decode(encoded, { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false });
  } catch (cause) {
    throw new KithError('bad-encoding', `${what}: not well-formed CBOR`, { cause });
  }
}

const toList = (bytes: Uint8Array): number[] => [...bytes];
const toBytes = (numbers: readonly number[]): Uint8Array => Uint8Array.from(numbers);

export const writeSecretKey = (key: CompactSecretKey, form: PolyfuzzyForm): Uint8Array =>
  write({ coeffs: encodeSecretKey(key).map(toList) }, form);

export const readSecretKey = (encoded: Uint8Array, form: PolyfuzzyForm): CompactSecretKey =>
  decodeSecretKey(read(encoded, form, coefficientsShape, 'compact secret key').coeffs.map(toBytes));

export const writePublicKey = (key: CompactPublicKey, form: PolyfuzzyForm): Uint8Array =>
  write({ coeffs: encodePublicKey(key).map(toList) }, form);

/** `basepoint` as in `decodePublicKey`: the encoding does not hold it. */
export const readPublicKey = (
  encoded: Uint8Array,
  form: PolyfuzzyForm,
  basepoint?: CompactPublicKey['basepoint'],
): CompactPublicKey =>
  decodePublicKey(read(encoded, form, coefficientsShape, 'compact public key').coeffs.map(toBytes), basepoint);

/** All gamma subkeys of an expanded secret key. */
export const writeSubkeys = (subkeys: readonly Uint8Array[], form: PolyfuzzyForm): Uint8Array =>
  write(subkeys.map(toList), form);

export const readSubkeys = (encoded: Uint8Array, form: PolyfuzzyForm): Uint8Array[] =>
  read(encoded, form, subkeysShape, 'expanded secret key').map(toBytes);

export const writeDetectionKey = (key: DetectionKey, form: PolyfuzzyForm): Uint8Array =>
  write({ subkeys: key.subkeys.map(toList), indices: [...key.indices] }, form);

/** The crate keeps subkeys in the order they were asked for; we sort them, so only sorted ones round-trip. */
export function readDetectionKey(encoded: Uint8Array, form: PolyfuzzyForm, gamma: number): DetectionKey {
  const { subkeys, indices } = read(encoded, form, detectionKeyShape, 'detection key');
  if (subkeys.length !== indices.length) {
    throw fmdError('bad-detection-key', `${subkeys.length} subkeys but ${indices.length} indices`);
  }
  const pairs = indices.map((index, i) => ({ index, subkey: toBytes(subkeys[i]!) }));
  return makeDetectionKey(pairs, gamma);
}

export const writeFlag = (flag: Flag, form: PolyfuzzyForm): Uint8Array =>
  write({ basepoint_ch: toList(flag.basepoint), u: toList(flag.u), y: toList(flag.y), c: toList(flag.bits) }, form);

export function readFlag(encoded: Uint8Array, form: PolyfuzzyForm, gamma: number): Flag {
  const { basepoint_ch, u, y, c } = read(encoded, form, flagShape, 'flag');
  const flag = { gamma, basepoint: toBytes(basepoint_ch), u: toBytes(u), y: toBytes(y), bits: toBytes(c) };
  checkFlag(flag);
  return flag;
}
