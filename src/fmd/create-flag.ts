// Making flags: what a sender does with the receiver's public key.

import type { Random } from '../core/ports.ts';
import { bitBytes, type Flag } from './flag.ts';
import { encodeScalar, invertScalar, modOrder, multiply, randomScalar } from './group.ts';
import { keyBit, messageScalar } from './hashes.ts';
import { type CompactPublicKey, checkGamma, publicSubkey } from './keys.ts';
import { GAMMA } from './limits.ts';

/**
 * A flag ciphertext for the owner of `publicKey`: u = rG, B = bG, w = zB, c_i = NOT k_i, and y such that
 * w = mB + yu ("Fuzzy Message Detection", figure 3). B is fresh each time, so flags to one receiver do not
 * show it.
 */
export function createFlag(deps: { random: Random }, publicKey: CompactPublicKey, gamma: number = GAMMA): Flag {
  checkGamma(gamma);
  const r = randomScalar(deps.random);
  const b = randomScalar(deps.random);
  const z = randomScalar(deps.random);
  const basepoint = multiply(publicKey.basepoint, b);
  const u = multiply(publicKey.basepoint, r).toBytes();
  const w = multiply(basepoint, z).toBytes();
  const bits = new Uint8Array(bitBytes(gamma));
  for (let i = 0; i < gamma; i++) {
    const shared = multiply(publicSubkey(publicKey, i), r).toBytes();
    const bit = 1 - keyBit(u, shared, w);
    bits[i >> 3] = bits[i >> 3]! | (bit << (i & 7));
  }
  const m = messageScalar(u, bits);
  const y = modOrder((z - m) * invertScalar(r) * b);
  return { gamma, basepoint: basepoint.toBytes(), u, y: encodeScalar(y), bits };
}
