// What the wrapper writes into the kernel's memory once: field constants in the kernel's limbs, constants of SHA-256,
// vectors of the generated code.

import { FIELD_BYTES, FIELD_CONSTANTS, SHA_CONSTANTS } from './layout.ts';
import { writeVectorConstants } from './vector-constants.ts';

/** p = 2^255 - 19. */
export const FIELD_PRIME: bigint = 2n ** 255n - 19n;

const LIMBS = 20;
const LANES = 4;
const LIMB_BITS = 13n;

const modPrime = (value: bigint): bigint => ((value % FIELD_PRIME) + FIELD_PRIME) % FIELD_PRIME;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = modPrime(result * square);
    square = modPrime(square * square);
  }
  return result;
}

const inverse = (value: bigint): bigint => power(value, FIELD_PRIME - 2n);

/** Square root of -1: 2^((p - 1)/4), as RFC 9496 has it. */
const SQRT_MINUS_ONE = power(2n, (FIELD_PRIME - 1n) / 4n);

/** The even root of a square modulo p. */
function squareRoot(value: bigint): bigint {
  const candidate = power(value, (FIELD_PRIME + 3n) / 8n);
  const root = modPrime(candidate * candidate) === value ? candidate : modPrime(candidate * SQRT_MINUS_ONE);
  return root & 1n ? FIELD_PRIME - root : root;
}

const D = modPrime(-121665n * inverse(121666n));

/** In the order of assembly/constants.ts. */
const FIELD_VALUES = [
  1n,
  inverse(2n),
  D,
  modPrime(2n * D),
  inverse(modPrime(2n * D)),
  SQRT_MINUS_ONE,
  squareRoot(inverse(modPrime(-1n - D))),
];

/** Writes `value` into one lane of the element at `address`: limbs in [-4096, 4095]. */
export function writeField(memory: DataView, address: number, lane: number, value: bigint): void {
  let rest = modPrime(value);
  for (let k = 0; k < LIMBS; k++) {
    let limb = k === LIMBS - 1 ? rest : rest & 8191n;
    if (k < LIMBS - 1 && limb >= 4096n) limb -= 8192n;
    rest = (rest - limb) >> LIMB_BITS;
    memory.setInt16(limbAddress(address, lane, k), Number(limb), true);
  }
}

/** Reads one lane of the element at `address`, reduced modulo p. */
export function readField(memory: DataView, address: number, lane: number): bigint {
  let value = 0n;
  for (let k = LIMBS - 1; k >= 0; k--) {
    value = (value << LIMB_BITS) + BigInt(memory.getInt16(limbAddress(address, lane, k), true));
  }
  return modPrime(value);
}

/** Address of limb k of a lane. */
export const limbAddress = (address: number, lane: number, k: number): number =>
  address + 16 * (k >> 1) + 4 * lane + 2 * (k & 1);

/** First 32 bits of the fractional parts of the `root`-th roots (2 or 3) of the first primes (FIPS 180-4). */
function primeRoots(count: number, root: 2 | 3): number[] {
  const words: number[] = [];
  for (let candidate = 2n; words.length < count; candidate++) {
    let divisor = 2n;
    while (candidate % divisor !== 0n) divisor++;
    if (divisor < candidate) continue;
    const target = candidate << BigInt(32 * root);
    let low = 0n;
    let high = candidate << 32n;
    while (low < high) {
      const middle = (low + high + 1n) >> 1n;
      if (middle ** BigInt(root) <= target) low = middle;
      else high = middle - 1n;
    }
    words.push(Number(low & 0xffffffffn));
  }
  return words;
}

export function writeConstants(memory: DataView): void {
  writeVectorConstants(memory);
  for (const [i, value] of FIELD_VALUES.entries()) {
    for (let lane = 0; lane < LANES; lane++) writeField(memory, FIELD_CONSTANTS + i * FIELD_BYTES, lane, value);
  }
  for (const [i, word] of [...primeRoots(64, 3), ...primeRoots(8, 2)].entries()) {
    memory.setUint32(SHA_CONSTANTS + 4 * i, word, true);
  }
}
