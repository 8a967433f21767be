// Shamir's secret sharing (CACM 22, 1979) of a sealing key, byte by byte over GF(2^8): any `threshold` shares give the
// key, fewer are independent of it. Written here because randomness must come through `Random` and no table may be
// indexed by a secret; see docs/CUSTODY.md.

import type { Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { keyserverError } from './errors.ts';
import { invert, multiply } from './field.ts';

export const SEALING_KEY_BYTES = 32;

/** Shares are numbered from 1 in one byte of the field. */
const INDEX_MAX = 255;

/** The polynomials' values at `index`; 32 bytes. */
export interface Share {
  /** 1 to 255. */
  readonly index: number;
  readonly value: Secret;
}

/**
 * The shares 1 to `shares` of a key of 32 bytes. The caller wipes them.
 * @throws KithError `bad-split`.
 */
export function splitKey(
  { random }: { random: Random },
  key: Secret,
  { threshold, shares }: { readonly threshold: number; readonly shares: number },
): Share[] {
  if (key.length !== SEALING_KEY_BYTES) {
    throw keyserverError('bad-split', `a sealing key has ${SEALING_KEY_BYTES} bytes, got ${key.length}`);
  }
  if (!Number.isInteger(shares) || shares < 1 || shares > INDEX_MAX) {
    throw keyserverError('bad-split', `expected 1 to ${INDEX_MAX} shares, got ${shares}`);
  }
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > shares) {
    throw keyserverError('bad-split', `a threshold of ${threshold} does not go with ${shares} shares`);
  }
  const secret = key.expose();
  using higher = Secret.own(random.bytes((threshold - 1) * SEALING_KEY_BYTES));
  const coefficients = higher.expose();
  return Array.from({ length: shares }, (_, position) => {
    const index = position + 1;
    const value = new Uint8Array(SEALING_KEY_BYTES);
    for (let byte = 0; byte < SEALING_KEY_BYTES; byte++) {
      let sum = 0;
      for (let degree = threshold - 1; degree >= 1; degree--) {
        sum = multiply(sum ^ coefficients[(degree - 1) * SEALING_KEY_BYTES + byte]!, index);
      }
      value[byte] = sum ^ secret[byte]!;
    }
    return { index, value: Secret.own(value) };
  });
}

/**
 * The key that any `threshold` shares of one split stand for. Shares of different splits, or altered ones, give another
 * key: the caller compares with a commitment.
 * @throws KithError `bad-shares`: too few, one index twice, an index or a length that cannot be.
 */
export function combineShares(shares: readonly Share[], threshold: number): Secret {
  if (!Number.isInteger(threshold) || threshold < 1 || shares.length < threshold) {
    throw keyserverError('bad-shares', `${shares.length} shares, ${threshold} are needed`);
  }
  const used = shares.slice(0, threshold);
  for (const { index, value } of used) {
    if (!Number.isInteger(index) || index < 1 || index > INDEX_MAX) {
      throw keyserverError('bad-shares', `no share has the index ${index}`);
    }
    if (value.length !== SEALING_KEY_BYTES) {
      throw keyserverError('bad-shares', `share ${index} has ${value.length} bytes, expected ${SEALING_KEY_BYTES}`);
    }
  }
  if (new Set(used.map(({ index }) => index)).size !== used.length) {
    throw keyserverError('bad-shares', 'two shares have one index');
  }
  const key = new Uint8Array(SEALING_KEY_BYTES);
  for (const { index, value } of used) {
    const weight = weightAtZero(index, used);
    const bytes = value.expose();
    for (let byte = 0; byte < SEALING_KEY_BYTES; byte++) key[byte]! ^= multiply(bytes[byte]!, weight);
  }
  return Secret.own(key);
}

/** Lagrange's weight of one point for the value at zero; indices are no secret. */
function weightAtZero(index: number, shares: readonly Share[]): number {
  let weight = 1;
  for (const { index: other } of shares) {
    if (other !== index) weight = multiply(weight, multiply(other, invert(other ^ index)));
  }
  return weight;
}
