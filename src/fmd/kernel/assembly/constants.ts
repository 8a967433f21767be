// Addresses of the field constants, in the order in which ../constants.ts writes them.

import { FIELD_BYTES, FIELD_CONSTANTS } from '../layout';

export const ONE: i32 = FIELD_CONSTANTS;
export const HALF: i32 = FIELD_CONSTANTS + FIELD_BYTES;
/** d of the curve -x^2 + y^2 = 1 + d x^2 y^2. */
export const D: i32 = FIELD_CONSTANTS + 2 * FIELD_BYTES;
export const TWO_D: i32 = FIELD_CONSTANTS + 3 * FIELD_BYTES;
export const INVERSE_TWO_D: i32 = FIELD_CONSTANTS + 4 * FIELD_BYTES;
export const SQRT_MINUS_ONE: i32 = FIELD_CONSTANTS + 5 * FIELD_BYTES;
/** 1 / sqrt(a - d), a = -1. */
export const INVERSE_SQRT_A_MINUS_D: i32 = FIELD_CONSTANTS + 6 * FIELD_BYTES;
