// Subkeys are values of a polynomial of low degree (Namada: 1). Where a detection key shows that, the shared points
// x_i * u come from a few multiplications and then additions, whatever indices were chosen.

import { invertScalar, modOrder } from './group.ts';
import { GAMMA_MAX } from './limits.ts';

/**
 * How to walk from the first index to the last by forward differences: `differences[0]` is the value at the first
 * index, `differences[j]` its j-th forward difference there. A step adds each difference to the one before it.
 */
export interface LinearForm {
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** degree + 1 scalars. */
  readonly differences: readonly bigint[];
}

/** An addition costs about a hundredth of a multiplication, so long walks still pay; beyond degree 3 they are rare. */
const DEGREE_MAX = 3;

/** Inverses of the differences there are between indices, which are public: half the time of a key's form otherwise. */
const INVERSES: readonly bigint[] = Array.from({ length: GAMMA_MAX }, (_, i) =>
  i === 0 ? 0n : invertScalar(BigInt(i)),
);

const invertDifference = (difference: bigint): bigint =>
  difference > 0n && difference < INVERSES.length ? INVERSES[Number(difference)]! : invertScalar(modOrder(difference));

/**
 * The form of scalars that lie, at their ascending indices, on a polynomial of degree at most 3 and below n - 1, so
 * that it was not simply drawn through the points; undefined for others.
 */
export function findLinearForm(indices: readonly number[], scalars: readonly bigint[]): LinearForm | undefined {
  const xs = indices.map((index) => BigInt(index));
  const line = findLine(xs, scalars);
  if (line) return { firstIndex: indices[0]!, lastIndex: indices.at(-1)!, differences: line };
  const newton = dividedDifferences(xs, scalars);
  const degree = newton.findLastIndex((coefficient) => coefficient !== 0n);
  if (degree > DEGREE_MAX || Math.max(degree, 0) >= indices.length - 1) return undefined;
  const values = Array.from({ length: Math.max(degree, 0) + 1 }, (_, step) =>
    evaluateNewton(newton, xs, xs[0]! + BigInt(step)),
  );
  return { firstIndex: indices[0]!, lastIndex: indices.at(-1)!, differences: forwardDifferences(values) };
}

/** The differences of scalars on a line, which those of Namada are: n multiplications in place of n squared. */
function findLine(xs: readonly bigint[], ys: readonly bigint[]): readonly bigint[] | undefined {
  if (xs.length < 3) return undefined;
  const [x0, y0] = [xs[0]!, ys[0]!];
  const slope = modOrder((ys[1]! - y0) * invertDifference(xs[1]! - x0));
  // A constant is of degree 0, and has a form of its own.
  if (slope === 0n || xs.some((x, i) => modOrder(y0 + slope * (x - x0)) !== ys[i])) return undefined;
  return [y0, slope];
}

/** Newton's coefficients of the interpolating polynomial. */
function dividedDifferences(xs: readonly bigint[], ys: readonly bigint[]): bigint[] {
  const table = [...ys];
  for (let order = 1; order < xs.length; order++) {
    for (let i = xs.length - 1; i >= order; i--) {
      table[i] = modOrder((table[i]! - table[i - 1]!) * invertDifference(xs[i]! - xs[i - order]!));
    }
  }
  return table;
}

function evaluateNewton(coefficients: readonly bigint[], xs: readonly bigint[], x: bigint): bigint {
  let value = 0n;
  for (let i = coefficients.length - 1; i >= 0; i--) value = modOrder(value * (x - xs[i]!) + coefficients[i]!);
  return value;
}

function forwardDifferences(values: readonly bigint[]): bigint[] {
  const row = [...values];
  for (let order = 1; order < row.length; order++) {
    for (let i = row.length - 1; i >= order; i--) row[i] = modOrder(row[i]! - row[i - 1]!);
  }
  return row;
}
