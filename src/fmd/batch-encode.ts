// Encoding many ristretto255 points at the price of one inversion: given P, the encoding of 2P needs no square root,
// because doubling is an isogeny whose image can be written down directly. Source: the ristretto group's
// double-and-compress formulas (ristretto.group, "batched double-and-encode"; in use in curve25519-dalek). Callers
// halve their scalars first.

import { ed25519 } from '@noble/curves/ed25519.js';
import type { GroupPoint } from './group.ts';
import { GROUP_ORDER } from './group.ts';

const Edwards: typeof ed25519.Point = ed25519.Point;

/** A representative of a ristretto255 point on edwards25519. */
export type EdwardsPoint = InstanceType<typeof Edwards>;

export const EDWARDS_ZERO: EdwardsPoint = Edwards.ZERO;

const { Fp } = Edwards;
/** d of edwards25519 (RFC 8032, section 5.1). */
const D = Fp.div(Fp.neg(121665n), 121666n);
/** sqrt(-1), the even root. */
const SQRT_M1 = Fp.pow(2n, (Fp.ORDER - 1n) / 4n);
/** 1 / sqrt(a - d) with a = -1, the even root (RFC 9496, section 4.1). */
const INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578n;

const isNegative = (x: bigint): boolean => (x & 1n) === 1n;

/** Half of a scalar: `2 * halve(x) = x` mod l. */
export const halve = (scalar: bigint): bigint => ((scalar & 1n) === 0n ? scalar >> 1n : (scalar + GROUP_ORDER) >> 1n);

/** A representative of `point`. */
export const edwardsOf = (point: GroupPoint): EdwardsPoint =>
  point.is0() ? EDWARDS_ZERO : Edwards.fromAffine(point.toAffine());

/** `scalar * point` for any scalar below l and any representative. */
export function multiplyEdwards(point: EdwardsPoint, scalar: bigint): EdwardsPoint {
  return scalar === 0n || point.is0() ? EDWARDS_ZERO : point.multiply(scalar);
}

/** The ristretto255 encodings (32 bytes) of 2P for each representative P. */
export function encodeDoubles(points: readonly EdwardsPoint[]): Uint8Array[] {
  const states = points.map(({ X, Y, Z, T }) => {
    const xx = Fp.sqr(X);
    const yy = Fp.sqr(Y);
    const zz = Fp.sqr(Z);
    const dtt = Fp.mul(Fp.sqr(T), D);
    const e = Fp.mul(X, Fp.add(Y, Y));
    const f = Fp.add(zz, dtt);
    const g = Fp.add(yy, xx);
    const h = Fp.sub(zz, dtt);
    return { e, f, g, h, eg: Fp.mul(e, g), fh: Fp.mul(f, h) };
  });
  // Zero for the identity and its kin, whose inverse must come out as zero: then s is zero, the identity's encoding.
  const inverses = Fp.invertBatch(states.map(({ eg, fh }) => Fp.mul(eg, fh)));
  return states.map((state, i) => {
    const { f, eg, fh } = state;
    const inverse = inverses[i]!;
    const zInverse = Fp.mul(eg, inverse);
    const tInverse = Fp.mul(fh, inverse);
    const rotate = isNegative(Fp.mul(eg, zInverse));
    const e = rotate ? state.g : state.e;
    let g = rotate ? Fp.neg(state.e) : state.g;
    const h = rotate ? Fp.mul(f, SQRT_M1) : state.h;
    const magic = rotate ? SQRT_M1 : INVSQRT_A_MINUS_D;
    if (isNegative(Fp.mul(Fp.mul(h, e), zInverse))) g = Fp.neg(g);
    const s = Fp.mul(Fp.sub(h, g), Fp.mul(magic, Fp.mul(g, tInverse)));
    return Fp.toBytes(isNegative(s) ? Fp.neg(s) : s);
  });
}
