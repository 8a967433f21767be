// ristretto255 (RFC 9496) and its scalar field, with strict decoders. The reference arithmetic is @noble/curves.

import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js';
import { bigintToLe, leToBigint } from '../core/bytes.ts';
import type { Random } from '../core/ports.ts';
import { fmdError } from './errors.ts';

export const Point: typeof ristretto255.Point = ristretto255.Point;
export type GroupPoint = InstanceType<typeof Point>;

/** l = 2^252 + 27742317777372353535851937790883648493, the order of the group. */
export const GROUP_ORDER = Point.Fn.ORDER;

export const SCALAR_BYTES = 32;
export const POINT_BYTES = 32;

/** The scalar whose canonical encoding (32 bytes, little-endian, below l) is `bytes`. @throws `bad-encoding`. */
export function decodeScalar(bytes: Uint8Array, what: string): bigint {
  if (bytes.length !== SCALAR_BYTES) {
    throw fmdError('bad-encoding', `${what}: a scalar has ${SCALAR_BYTES} bytes, got ${bytes.length}`);
  }
  const value = leToBigint(bytes);
  if (value >= GROUP_ORDER)
    throw fmdError('bad-encoding', `${what}: not a canonical scalar (not below the group order)`);
  return value;
}

export const encodeScalar = (value: bigint): Uint8Array => bigintToLe(value, SCALAR_BYTES);

/** The point with this encoding. @throws `bad-encoding` unless it is the canonical one (RFC 9496, section 4.3.1). */
export function decodePoint(bytes: Uint8Array, what: string): GroupPoint {
  if (bytes.length !== POINT_BYTES) {
    throw fmdError('bad-encoding', `${what}: a point has ${POINT_BYTES} bytes, got ${bytes.length}`);
  }
  try {
    return Point.fromBytes(bytes);
  } catch {
    throw fmdError('bad-encoding', `${what}: not the canonical encoding of a ristretto255 point`);
  }
}

/** `value` mod l, never negative. */
export function modOrder(value: bigint): bigint {
  const rest = value % GROUP_ORDER;
  return rest < 0n ? rest + GROUP_ORDER : rest;
}

/** Reduces 64 uniform bytes mod l: the bias is below 2^-250. */
export const scalarFromUniform = (bytes64: Uint8Array): bigint => modOrder(leToBigint(bytes64));

/** A uniform scalar other than zero. */
export function randomScalar(random: Random): bigint {
  for (;;) {
    const value = scalarFromUniform(random.bytes(64));
    if (value !== 0n) return value;
  }
}

/** Inverse mod l. @throws if `value` is zero. */
export const invertScalar = (value: bigint): bigint => Point.Fn.inv(value);

/** The element derivation of RFC 9496, section 4.3.4, from 64 bytes (the crate's `from_uniform_bytes`). */
export function pointFromUniform(bytes64: Uint8Array): GroupPoint {
  // Optional in noble's interface because not every curve has one; ristretto255 does.
  if (!ristretto255_hasher.deriveToCurve) throw fmdError('bad-parameter', 'no element derivation for ristretto255');
  return ristretto255_hasher.deriveToCurve(bytes64);
}

/** `scalar * point` for any scalar below l, zero included. Constant time as far as JavaScript's integers allow. */
export function multiply(point: GroupPoint, scalar: bigint): GroupPoint {
  if (scalar === 0n || point.is0()) return Point.ZERO;
  return point.multiply(scalar);
}

/** As `multiply`, for public scalars only: faster, in variable time. */
export function multiplyPublic(point: GroupPoint, scalar: bigint): GroupPoint {
  if (scalar === 0n || point.is0()) return Point.ZERO;
  return point.multiplyUnsafe(scalar);
}
