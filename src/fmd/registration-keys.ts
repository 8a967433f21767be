// From registration payloads to keys, for wallets and nodes alike: the `DeriveKeys` port of core/registration.

import { isKithError } from '../core/errors.ts';
import type { DeriveKeys } from '../core/registration/payload.ts';
import { fmdError } from './errors.ts';
import { SCALAR_BYTES } from './group.ts';
import { canonicalDetectionKey, type DetectionKey, makeDetectionKey } from './keys.ts';
import { deriveSeedKeys, seedDetectionKey } from './seed.ts';

const PAIR_BYTES = 1 + SCALAR_BYTES;

/**
 * The inverse of `canonicalDetectionKey`.
 * @throws KithError `bad-detection-key`, `bad-encoding`: wrong length, order, range, repetition, no canonical scalar.
 */
export function parseDetectionKey(bytes: Uint8Array): DetectionKey {
  return makeDetectionKey(pairsOf(bytes));
}

/** The detection key of bytes that `parseDetectionKey` took before: looks at no scalar again. */
export function restoreDetectionKey(bytes: Uint8Array): DetectionKey {
  const pairs = pairsOf(bytes);
  return { indices: pairs.map(({ index }) => index), subkeys: pairs.map(({ subkey }) => subkey.slice()) };
}

/** Index and scalar of each subkey, as views. @throws KithError `bad-detection-key`: wrong length or order. */
function pairsOf(bytes: Uint8Array): { readonly index: number; readonly subkey: Uint8Array }[] {
  const n = bytes[0] ?? 0;
  if (bytes.length !== 1 + PAIR_BYTES * n) {
    throw fmdError('bad-detection-key', `a detection key of ${n} subkeys has ${1 + PAIR_BYTES * n} bytes`);
  }
  const pairs = Array.from({ length: n }, (_, i) => {
    const at = 1 + PAIR_BYTES * i;
    return { index: bytes[at]!, subkey: bytes.subarray(at + 1, at + PAIR_BYTES) };
  });
  for (let i = 1; i < n; i++) {
    if (pairs[i - 1]!.index >= pairs[i]!.index) throw fmdError('bad-detection-key', 'indices must ascend');
  }
  return pairs;
}

export const registrationKeys: DeriveKeys = (payload) => {
  try {
    if (payload.kind === 'keys') {
      parseDetectionKey(payload.detectionKey);
      return { dataKey: payload.dataKey, detectionKey: payload.detectionKey };
    }
    const keys = deriveSeedKeys(payload.seed);
    return { dataKey: keys.dataKey, detectionKey: canonicalDetectionKey(seedDetectionKey(keys, payload.n)) };
  } catch (error) {
    if (isKithError(error, 'bad-detection-key', 'bad-encoding', 'bad-parameter')) return undefined;
    throw error;
  }
};
