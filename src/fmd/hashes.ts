// The two hashes of FMD2 as polyfuzzy 0.5.0 computes them.

import { sha256, sha512 } from '#crypto';
import { concatBytes } from '../core/bytes.ts';
import { scalarFromUniform } from './group.ts';

/** k_i: lowest bit of SHA-256(enc(u) || enc(x_i u) || enc(w)). */
export function keyBit(u: Uint8Array, shared: Uint8Array, w: Uint8Array): number {
  return sha256(concatBytes(u, shared, w))[0]! & 1;
}

/** m = SHA-512(enc(u) || bits) mod l. */
export function messageScalar(u: Uint8Array, bits: Uint8Array): bigint {
  return scalarFromUniform(sha512(concatBytes(u, bits)));
}
