// Checks both sides of `#crypto` share, so that they refuse the same inputs.

import { KithError } from '../errors.ts';

/** @throws KithError `bad-key` unless `value` has `length` bytes. */
export function expectLength(what: string, value: Uint8Array, length: number): void {
  if (value.length !== length) {
    throw new KithError('bad-key', `${what} must be ${length} bytes, got ${value.length}`);
  }
}

/** RFC 5869, section 2.3: at least as long as the hash. @throws KithError `bad-key`. */
export function expectHkdfKey(prk: Uint8Array): void {
  if (prk.length < 32) throw new KithError('bad-key', `an HKDF key must be at least 32 bytes, got ${prk.length}`);
}

/** p = 2^255 - 19, little-endian. */
const FIELD_PRIME = Uint8Array.of(0xed, ...new Array<number>(30).fill(0xff), 0x7f);

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** y coordinates of the eight points of small order, sign bit cleared: 1, -1, 0 (order 4), and the two of order 8. */
const SMALL_ORDER_Y = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(hex);

/**
 * Whether an Ed25519 public key, or the R of a signature, is worth looking at: y below p and not a point of small order.
 * (The two encodings with x = 0 and the sign bit set, which are not canonical either, are of small order.)
 */
export function plausibleEd25519Point(point: Uint8Array): boolean {
  if (point.length !== 32) return false;
  const y = point.slice();
  y[31] = y[31]! & 0x7f;
  if (SMALL_ORDER_Y.some((small) => small.every((byte, i) => byte === y[i]))) return false;
  for (let i = 31; i >= 0; i--) {
    if (y[i]! !== FIELD_PRIME[i]!) return y[i]! < FIELD_PRIME[i]!;
  }
  return false;
}
