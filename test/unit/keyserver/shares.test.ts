import fc from 'fast-check';
import { combine, split } from 'shamir-secret-sharing';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { invert, multiply } from '../../../src/keyserver/field.ts';
import { combineShares, type Share, splitKey } from '../../../src/keyserver/shares.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const shapeOf = fc
  .integer({ min: 1, max: 8 })
  .chain((shares) => fc.record({ shares: fc.constant(shares), threshold: fc.integer({ min: 1, max: shares }) }));

const fixed = (fill: number) => ({ random: { bytes: (length: number) => new Uint8Array(length).fill(fill) } });

/** Schoolbook: product of polynomials, then long division. */
function slowProduct(a: number, b: number): number {
  let product = 0;
  for (let i = 0; i < 8; i++) if ((b >> i) & 1) product ^= a << i;
  for (let i = 14; i >= 8; i--) if ((product >> i) & 1) product ^= 0x11b << (i - 8);
  return product;
}

describe('the field', () => {
  it('multiplies every pair of bytes as long division says', () => {
    for (let a = 0; a < 256; a++) for (let b = 0; b < 256; b++) expect(multiply(a, b)).toBe(slowProduct(a, b));
  });

  it('inverts every byte but zero', () => {
    for (let a = 1; a < 256; a++) expect(multiply(a, invert(a))).toBe(1);
    expect(invert(0)).toBe(0);
  });
});

describe('sharing a sealing key', () => {
  it('gives the key back from any threshold of the shares, in any order', () => {
    fc.assert(
      fc.property(key32, shapeOf, fc.string(), fc.nat(), (bytes, shape, seed, turn) => {
        const key = Secret.copy(bytes);
        const shares = splitKey({ random: seededRandom(seed) }, key, shape);
        expect(shares.map(({ index }) => index)).toEqual(Array.from({ length: shape.shares }, (_, i) => i + 1));
        const turned = [...shares, ...shares].slice(turn % shape.shares).slice(0, shape.threshold);
        expect(combineShares(turned, shape.threshold).equals(key)).toBe(true);
        expect(combineShares(turned.toReversed(), shape.threshold).equals(key)).toBe(true);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('makes shares that shamir-secret-sharing combines', async () => {
    const key = seededRandom('key').bytes(32);
    const shares = splitKey({ random: seededRandom('split') }, Secret.copy(key), { threshold: 3, shares: 5 });
    const theirs = shares.map(({ index, value }) => Uint8Array.of(...value.expose(), index));
    expect(await combine([theirs[4]!, theirs[0]!, theirs[2]!])).toEqual(key);
  });

  it('combines what shamir-secret-sharing split', async () => {
    const key = seededRandom('key').bytes(32);
    for (const [shares, threshold] of [
      [3, 2],
      [5, 3],
    ] as const) {
      const theirs = (await split(key, shares, threshold)).map(
        (share): Share => ({ index: share[32]!, value: Secret.copy(share.subarray(0, 32)) }),
      );
      expect(combineShares(theirs.slice(1), threshold).expose()).toEqual(key);
    }
  });

  it('says nothing about a byte of the key with one share less: every value of it is equally often there', () => {
    // Threshold 2: for a fixed share value there is exactly one coefficient for each key byte.
    for (const index of [1, 2, 3]) {
      for (const keyByte of [0, 1, 0x5a, 0xff]) {
        const seen = new Set<number>();
        for (let coefficient = 0; coefficient < 256; coefficient++) {
          const key = Secret.own(new Uint8Array(32).fill(keyByte));
          const shares = splitKey(fixed(coefficient), key, { threshold: 2, shares: 3 });
          seen.add(shares[index - 1]!.value.expose()[0]!);
        }
        expect(seen.size).toBe(256);
      }
    }
  });

  it('says nothing about a byte of the key with two of three needed shares', () => {
    const pairs = new Map<number, number>();
    const keyByte = 0x37;
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second += 1) {
        const at = (x: number) => keyByte ^ multiply(first, x) ^ multiply(second, multiply(x, x));
        const pair = at(1) * 256 + at(4);
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
      }
    }
    expect(pairs.size).toBe(65_536);
    // And this is what the code computes.
    const coefficients = Uint8Array.of(...new Uint8Array(32).fill(7), ...new Uint8Array(32).fill(9));
    const split3 = splitKey(
      { random: { bytes: () => coefficients.slice() } },
      Secret.own(new Uint8Array(32).fill(55)),
      {
        threshold: 3,
        shares: 5,
      },
    );
    expect(split3[3]!.value.expose()[0]).toBe(keyByte ^ multiply(7, 4) ^ multiply(9, multiply(4, 4)));
  });

  it('gives another key if one share is altered or of another split', () => {
    const key = Secret.own(seededRandom('key').bytes(32));
    const shape = { threshold: 2, shares: 3 };
    const [one, two] = splitKey({ random: seededRandom('a') }, key, shape) as [Share, Share, Share];
    const foreign = splitKey({ random: seededRandom('b') }, key, shape)[1]!;
    expect(combineShares([one, foreign], 2).equals(key)).toBe(false);
    two.value.expose()[31]! ^= 1;
    expect(combineShares([one, two], 2).equals(key)).toBe(false);
  });

  it('wipes its coefficients', () => {
    const handed: Uint8Array[] = [];
    const random = {
      bytes(length: number) {
        const bytes = new Uint8Array(length).fill(3);
        handed.push(bytes);
        return bytes;
      },
    };
    splitKey({ random }, Secret.own(new Uint8Array(32)), { threshold: 3, shares: 5 });
    expect(handed.map((bytes) => bytes.every((byte) => byte === 0))).toEqual([true]);
  });

  it('refuses splits that cannot be', () => {
    const random = seededRandom('x');
    const attempt = (bytes: number, threshold: number, shares: number) =>
      codeOf(() => splitKey({ random }, Secret.own(new Uint8Array(bytes)), { threshold, shares }));
    expect(attempt(31, 2, 3)).toBe('bad-split');
    expect(attempt(32, 0, 3)).toBe('bad-split');
    expect(attempt(32, 4, 3)).toBe('bad-split');
    expect(attempt(32, 1.5, 3)).toBe('bad-split');
    expect(attempt(32, 1, 0)).toBe('bad-split');
    expect(attempt(32, 1, 256)).toBe('bad-split');
    expect(attempt(32, 2, 255)).toBeUndefined();
  });

  it('refuses shares that cannot be combined', () => {
    const share = (index: number, length = 32): Share => ({ index, value: Secret.own(new Uint8Array(length)) });
    const attempt = (shares: Share[], threshold: number) => codeOf(() => combineShares(shares, threshold));
    expect(attempt([share(1)], 2)).toBe('bad-shares');
    expect(attempt([], 0)).toBe('bad-shares');
    expect(attempt([share(2), share(2)], 2)).toBe('bad-shares');
    expect(attempt([share(0), share(2)], 2)).toBe('bad-shares');
    expect(attempt([share(256), share(2)], 2)).toBe('bad-shares');
    expect(attempt([share(1, 31), share(2)], 2)).toBe('bad-shares');
    expect(attempt([share(1), share(2)], 2)).toBeUndefined();
  });
});
