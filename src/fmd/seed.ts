// Registration by seed: one secret gives the data key, the detection polynomial and the authorisation key
// (feature rows S0-5, S0-6, S0-8). Node and wallet compute the same from (seed, n).

import { hkdfExpand, hkdfExtract, shake256 } from '#crypto';
import { concatBytes, utf8 } from '../core/bytes.ts';
import { LABEL_AUTH_KEY, LABEL_FMD_SEED } from '../core/labels.ts';
import { fmdError } from './errors.ts';
import { scalarFromUniform } from './group.ts';
import { type CompactSecretKey, type DetectionKey, deriveDetectionKey, firstIndices } from './keys.ts';
import { GAMMA, THRESHOLD } from './limits.ts';

export const SEED_BYTES = 32;
export const DATA_KEY_BYTES = 32;

/** What SHAKE256 is asked for: the data key, then 64 bytes per coefficient so that the reduction is unbiased. */
const OUTPUT_BYTES = DATA_KEY_BYTES + 64 * (THRESHOLD + 1);

export interface SeedKeys {
  /** Encrypts the user's index set; 32 bytes. */
  readonly dataKey: Uint8Array;
  readonly secretKey: CompactSecretKey;
}

function checkSeed(seed: Uint8Array): void {
  if (seed.length !== SEED_BYTES) {
    throw fmdError('bad-parameter', `a seed has ${SEED_BYTES} bytes, got ${seed.length}`);
  }
}

/** SHAKE256("kith/fmd-seed/v1" || seed): 32 bytes data key, then 64 bytes per coefficient, reduced mod l. */
export function deriveSeedKeys(seed: Uint8Array): SeedKeys {
  checkSeed(seed);
  const output = shake256(concatBytes(utf8(LABEL_FMD_SEED), seed), OUTPUT_BYTES);
  const coefficients = Array.from({ length: THRESHOLD + 1 }, (_, j) =>
    scalarFromUniform(output.subarray(DATA_KEY_BYTES + 64 * j, DATA_KEY_BYTES + 64 * (j + 1))),
  );
  const dataKey = output.slice(0, DATA_KEY_BYTES);
  output.fill(0);
  return { dataKey, secretKey: { coefficients } };
}

/** The detection key of a seed registration: indices 0 .. n-1. @throws `bad-parameter` unless 1 <= n <= 20. */
export function seedDetectionKey(keys: SeedKeys, n: number): DetectionKey {
  if (!Number.isInteger(n) || n < 1 || n > GAMMA) {
    throw fmdError('bad-parameter', `n must be a whole number from 1 to ${GAMMA}`);
  }
  return deriveDetectionKey(keys.secretKey, firstIndices(n));
}

/** The user's Ed25519 secret (32 bytes), with which renew and revoke are signed: HKDF of the seed, own label. */
export function deriveAuthSecret(seed: Uint8Array): Uint8Array {
  checkSeed(seed);
  return hkdfExpand(hkdfExtract(new Uint8Array(0), seed), utf8(LABEL_AUTH_KEY), 32);
}
