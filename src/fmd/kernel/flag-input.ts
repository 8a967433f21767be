// Writes a flag into the kernel's memory. A flag is public; still, whatever a decoder would refuse is refused here or by
// the kernel, which decides whether u and the basepoint are encodings of points at all.

import { bigintToLe, leToBigint } from '../../core/bytes.ts';
import { isKithError } from '../../core/errors.ts';
import { halve } from '../batch-encode.ts';
import { checkBits, type Flag, flagBit } from '../flag.ts';
import { decodeScalar, POINT_BYTES, SCALAR_BYTES } from '../group.ts';
import { messageScalar } from '../hashes.ts';
import { FIELD_PRIME } from './constants.ts';
import { FLAG_BITS_MAX, FLAG_INPUT, FLAG_WANTED } from './layout.ts';

/** What no hash bit equals. */
const NO_MATCH = 2;

/** A canonical, non-negative field element (RFC 9496, 4.3.1, step 1). */
function isCanonical(point: Uint8Array): boolean {
  return point.length === POINT_BYTES && (point[0]! & 1) === 0 && leToBigint(point) < FIELD_PRIME;
}

/** Writes the flag; false if its scalar, its bits or the form of its points are not as they must be. */
export function writeFlag(memory: Uint8Array, flag: Flag): boolean {
  let y: bigint;
  try {
    checkBits(flag);
    y = decodeScalar(flag.y, 'y');
  } catch (error) {
    if (isKithError(error, 'bad-encoding')) return false;
    throw error;
  }
  if (!isCanonical(flag.u) || !isCanonical(flag.basepoint)) return false;
  const m = messageScalar(flag.u, flag.bits);
  memory.set(flag.u, FLAG_INPUT);
  memory.set(flag.basepoint, FLAG_INPUT + POINT_BYTES);
  memory.set(bigintToLe(halve(y), SCALAR_BYTES), FLAG_INPUT + 2 * POINT_BYTES);
  memory.set(bigintToLe(halve(m), SCALAR_BYTES), FLAG_INPUT + 2 * POINT_BYTES + SCALAR_BYTES);
  memory.fill(NO_MATCH, FLAG_WANTED, FLAG_WANTED + FLAG_BITS_MAX);
  // k XOR c = 1: the hash bit must be the other one.
  for (let i = 0; i < flag.gamma; i++) memory[FLAG_WANTED + i] = 1 - flagBit(flag, i);
  return true;
}
