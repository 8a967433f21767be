// The keyed multiset hash over all records of a store: the sum modulo 2^256 of HMAC-SHA-256(set key, disk key ||
// ciphertext), kept with the number of records. (An additive MSet hash in the sense of Clarke, Devadas, van Dijk,
// Gassend and Suh, "Incremental multiset hash functions", Asiacrypt 2003, section 5, with a secret key.)
//
// Why 256 bits are enough although plain AdHash of that width falls to generalised birthdays (Wagner 2002): those need
// the addends or sums. Here the addends are a PRF under a key only the node has, sums are stored encrypted, and what
// others are told of a state is a keyed hash of it. A host that puts another set in place sees accepted or refused. Its
// set differs from the true one in some record r with coefficient +1 or -1; HMAC(r) is uniform and independent of all
// else, so the sums agree with probability 2^-256 for each of its attempts, whatever it chose from and however often
// it watched. The full argument stands in docs/STORE.md.

import { hmacSha256 } from '#crypto';
import type { Secret } from '../../core/secret.ts';

export const SET_HASH_BYTES = 32;

/** What one record adds. `diskKey` has a fixed length, so no two records have the same bytes. */
export function elementOf(setKey: Secret, diskKey: Uint8Array, sealed: Uint8Array): Uint8Array {
  return hmacSha256(setKey.expose(), diskKey, sealed);
}

/** sum += element modulo 2^256, in place, least significant byte first. */
export function addElement(sum: Uint8Array, element: Uint8Array): void {
  let carry = 0;
  for (let i = 0; i < SET_HASH_BYTES; i++) {
    carry += sum[i]! + element[i]!;
    sum[i] = carry & 0xff;
    carry >>= 8;
  }
}

/** sum -= element modulo 2^256, in place. */
export function subtractElement(sum: Uint8Array, element: Uint8Array): void {
  let borrow = 0;
  for (let i = 0; i < SET_HASH_BYTES; i++) {
    borrow += sum[i]! - element[i]!;
    sum[i] = borrow & 0xff;
    borrow >>= 8;
  }
}
