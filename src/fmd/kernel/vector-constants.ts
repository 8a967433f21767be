// Vectors that the generated field code needs, in memory: a compiler may rebuild a constant at each use, by several
// instructions on the very ports that the multiplications wait for, but it loads a vector once.

import { VECTOR_CONSTANTS } from './layout.ts';

/**
 * What is added to a coefficient before its high half is taken: 2^15 rounds, and 16 more in the high half centre the
 * limbs (see `reduce` in scripts/generate-field.ts).
 */
const ROUNDING = 0x8000 + 16 * 0x10000;
/** 2^260 = 608 modulo p; a high half stands 2^16 higher, which is 8 limbs of 2^13, so 4864 for the next coefficient. */
const FOLD = 608 + 4864 * 0x10000;
/** What centring leaves in each limb: 16 * 4864 = 4096 + 9 * 2^13, so 4096 here and 9 carried in from below. */
const CENTRE = 4096 + 9;

const pair = (low: number, high: number): number => low + high * 0x10000;

/** The 32-bit lane of each. */
const LANES = {
  lowLimb: 0xffff,
  rounding: ROUNDING,
  fold: FOLD,
  limbs: pair(0x1fff, 0x1fff),
  limb: 0x1fff,
  centre: pair(CENTRE, CENTRE),
  /** Limb 0 has no limb below it. */
  centreFirst: pair(4096, CENTRE),
  wrap: 608,
  /** What centring put into the carry out of limb 19. */
  wrapCentre: 9 * 608,
} as const;

export type VectorConstant = keyof typeof LANES;

const NAMES = Object.keys(LANES) as readonly VectorConstant[];

/** Where a constant lies in the kernel's memory. */
export const vectorAddress = (name: VectorConstant): number => VECTOR_CONSTANTS + 16 * NAMES.indexOf(name);

export function writeVectorConstants(memory: DataView): void {
  for (const name of NAMES) {
    for (let i = 0; i < 16; i += 4) memory.setUint32(vectorAddress(name) + i, LANES[name], true);
  }
}
