import { beforeAll, describe, expect, it } from 'vitest';
import { FIELD_PRIME } from '../../../../src/fmd/kernel/constants.ts';
import { FIELD_BYTES } from '../../../../src/fmd/kernel/layout.ts';
import { longForm } from '../../../support/fuzz.ts';
import { createProbe, inversePrime, LANES, LIMBS, modPrime, type Probe, SPACE } from '../../../support/kernel.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

/** Bounds of assembly/field.ts. */
const REDUCED = 4160;
const LOOSE = 8320;
/** What centring takes off a limb: a limb below this was negative before, after its last carry. */
const CENTRE = 4105;

const [A, B, X, R] = [0, 1, 2, 4].map((slot) => SPACE + slot * FIELD_BYTES) as [number, number, number, number];
const ROUNDS = longForm ? 20_000 : 3_000;

let probe: Probe;
let limbs: () => number;

beforeAll(async () => {
  probe = await createProbe();
  const random = seededRandom('kernel field');
  let pool: DataView = new DataView(new ArrayBuffer(0));
  let next = 0;
  limbs = () => {
    if (next + 4 > pool.byteLength) {
      pool = new DataView(random.bytes(1 << 16).buffer);
      next = 0;
    }
    next += 4;
    return pool.getUint32(next - 4);
  };
});

/** Fills an element with limbs within `bound`: anywhere, or each at one of its ends. */
function fill(address: number, bound: number, ends: boolean): void {
  for (let lane = 0; lane < LANES; lane++) {
    for (let k = 0; k < LIMBS; k++) {
      const value = ends ? (limbs() & 1 ? bound : -bound) : (limbs() % (2 * bound + 1)) - bound;
      probe.setLimb(address, lane, k, value);
    }
  }
}

function fillAll(address: number, value: (k: number) => number): void {
  for (let lane = 0; lane < LANES; lane++) for (let k = 0; k < LIMBS; k++) probe.setLimb(address, lane, k, value(k));
}

function setValues(address: number, values: readonly bigint[]): void {
  values.forEach((value, lane) => {
    let rest = value;
    for (let k = 0; k < LIMBS; k++) {
      const limb = k === LIMBS - 1 ? rest : BigInt.asIntN(13, rest);
      probe.setLimb(address, lane, k, Number(limb));
      rest = (rest - limb) >> 13n;
    }
  });
}

/** Every product the generated code makes of A, B and X, against whole numbers. */
function expectProducts(): void {
  const [a, b, x] = [probe.values(A), probe.values(B), probe.values(X)];
  const products = a.map((value, lane) => modPrime(value * b[lane]!));
  probe.run.multiply(R, A, B);
  expect(probe.values(R)).toEqual(products);
  expect(probe.largest(R)).toBeLessThanOrEqual(REDUCED);
  probe.run.multiplyDifferenceSum(R, A, B, X);
  expect(probe.values(R)).toEqual(x.map((value, lane) => modPrime(value - products[lane]!)));
  expect(probe.values(R + FIELD_BYTES)).toEqual(x.map((value, lane) => modPrime(value + products[lane]!)));
  probe.run.square(R, A);
  expect(probe.values(R)).toEqual(a.map((value) => modPrime(value * value)));
  expect(probe.largest(R)).toBeLessThanOrEqual(REDUCED);
}

describe('multiplication and squaring in the kernel', () => {
  it('are exact for loose operands, and give reduced limbs', () => {
    for (let round = 0; round < ROUNDS; round++) {
      fill(A, LOOSE, false);
      fill(B, LOOSE, false);
      fill(X, REDUCED, false);
      expectProducts();
    }
  });

  it('are exact where every limb is as large as it may be: no sum leaves 32 bits', () => {
    const patterns: readonly ((k: number) => number)[] = [
      () => LOOSE,
      () => -LOOSE,
      (k) => (k & 1 ? LOOSE : -LOOSE),
      (k) => (k & 1 ? -LOOSE : LOOSE),
      (k) => (k & 2 ? LOOSE : -LOOSE),
      (k) => (k < 10 ? LOOSE : -LOOSE),
      (k) => (k < 10 ? -LOOSE : LOOSE),
      (k) => (k === 19 ? LOOSE : -LOOSE),
    ];
    fill(X, REDUCED, true);
    for (const left of patterns) {
      for (const right of patterns) {
        fillAll(A, left);
        fillAll(B, right);
        expectProducts();
      }
    }
    for (let round = 0; round < ROUNDS / 10; round++) {
      fill(A, LOOSE, true);
      fill(B, LOOSE, true);
      expectProducts();
    }
  });

  it('handle 0, 1, p - 1, p, p + 1, 2p and powers of two', () => {
    const values = [0n, 1n, 2n, 19n, FIELD_PRIME - 1n, FIELD_PRIME, FIELD_PRIME + 1n, 2n * FIELD_PRIME];
    for (let exponent = 0n; exponent < 256n; exponent += 13n) values.push(2n ** exponent, 2n ** exponent - 1n);
    for (const [i, value] of values.entries()) {
      setValues(A, [value, values[(i + 1) % values.length]!, value, 0n]);
      setValues(B, [value, value, values[(i + 7) % values.length]!, value]);
      setValues(X, [value, 0n, 1n, value]);
      expectProducts();
    }
  });

  it('pack a limb of -1 after the last carry without touching its neighbour', () => {
    // The last carry into limb 1 or 11 may borrow from a limb that is 0: one multiplication in some thousands.
    let seen = 0;
    for (let round = 0; round < 20_000; round++) {
      fill(A, LOOSE, false);
      fill(B, LOOSE, false);
      probe.run.multiply(R, A, B);
      const borrowed = [0, 1, 2, 3].filter((lane) => [1, 11].some((k) => probe.limb(R, lane, k) < -CENTRE));
      if (borrowed.length === 0) continue;
      seen += borrowed.length;
      const [a, b, r] = [probe.values(A), probe.values(B), probe.values(R)];
      for (const lane of borrowed) expect(r[lane]).toBe(modPrime(a[lane]! * b[lane]!));
    }
    expect(seen).toBeGreaterThan(3);
  });

  it('take their own operands as results', () => {
    fill(A, LOOSE, false);
    fill(B, LOOSE, false);
    const [a, b] = [probe.values(A), probe.values(B)];
    probe.run.multiply(A, A, B);
    expect(probe.values(A)).toEqual(a.map((value, lane) => modPrime(value * b[lane]!)));
    probe.run.square(B, B);
    expect(probe.values(B)).toEqual(b.map((value) => modPrime(value * value)));
    fill(X, REDUCED, false);
    const [x, left, right] = [probe.values(X), probe.values(A), probe.values(B)];
    probe.run.multiplyDifferenceSum(X, A, B, X);
    expect(probe.values(X)).toEqual(x.map((value, lane) => modPrime(value - left[lane]! * right[lane]!)));
  });
});

describe('the other field functions of the kernel', () => {
  it('add, subtract, reduce, and tell odd and zero, for loose operands', () => {
    for (let round = 0; round < ROUNDS / 3; round++) {
      fill(A, LOOSE, round % 2 === 0);
      fill(B, LOOSE, round % 3 === 0);
      const [a, b] = [probe.values(A), probe.values(B)];
      probe.run.subtractReduced(R, A, B);
      expect(probe.values(R)).toEqual(a.map((value, lane) => modPrime(value - b[lane]!)));
      expect(probe.largest(R)).toBeLessThanOrEqual(LOOSE);
      probe.run.add(R, A, B);
      expect(probe.values(R)).toEqual(a.map((value, lane) => modPrime(value + b[lane]!)));
      probe.run.differenceSum(R, R + FIELD_BYTES, A, B);
      expect(probe.values(R)).toEqual(a.map((value, lane) => modPrime(value - b[lane]!)));
      expectCanonical(A, a);
    }
  });

  it('know every representation of small values and of their negatives', () => {
    for (let small = -3n; small <= 22n; small++) {
      for (let multiple = -16n; multiple <= 16n; multiple++) {
        const value = small + multiple * FIELD_PRIME;
        setValues(A, [value, value, -value, value]);
        expectCanonical(A, [value, value, -value, value].map(modPrime));
      }
    }
  });

  it('invert, give 0 for 0, and raise to (p - 5)/8', () => {
    const values = [0n, 1n, FIELD_PRIME - 1n, 2n ** 200n + 12345n];
    setValues(A, values);
    probe.run.invert(R, A);
    expect(probe.values(R)).toEqual(values.map(inversePrime));
    probe.run.powerForRoot(R, A);
    expect(probe.values(R)).toEqual(values.map((value) => power(value, (FIELD_PRIME - 5n) / 8n)));
  });
});

function expectCanonical(address: number, values: readonly bigint[]): void {
  const [odd, zero] = [probe.run.oddLanes(address), probe.run.zeroLanes(address)];
  probe.run.canonicalWords(R, address);
  values.forEach((value, lane) => {
    expect((odd >> lane) & 1).toBe(Number(value & 1n));
    expect((zero >> lane) & 1).toBe(Number(value === 0n));
    let canonical = 0n;
    for (let word = 7; word >= 0; word--) {
      canonical = (canonical << 32n) + BigInt(probe.view.getUint32(R + 16 * word + 4 * lane, true));
    }
    expect(canonical).toBe(value);
  });
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = modPrime(result * square);
    square = modPrime(square * square);
  }
  return result;
}
