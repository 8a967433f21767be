import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha512 } from '#crypto';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { encodeScalar, GROUP_ORDER, modOrder, Point } from '../../../src/fmd/group.ts';
import {
  canonicalDetectionKey,
  decodePublicKey,
  decodeSecretKey,
  deriveDetectionKey,
  diversifiedBasepoint,
  expandSecretKey,
  firstIndices,
  generateSecretKey,
  makeDetectionKey,
  publicKeyOf,
  publicSubkey,
  uniformBasepoint,
} from '../../../src/fmd/keys.ts';
import { findLinearForm } from '../../../src/fmd/linear.ts';
import { deriveAuthSecret, deriveSeedKeys, seedDetectionKey } from '../../../src/fmd/seed.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('key tests');
const pair = (index: number, scalar = 5n) => ({ index, subkey: encodeScalar(scalar) });

describe('compact keys', () => {
  it.each([0, 1, 3, 7])('of threshold %i: public subkeys are the secret subkeys times the base point', (threshold) => {
    const secret = generateSecretKey({ random }, { threshold });
    const publicKey = publicKeyOf(secret);
    expandSecretKey(secret, 5).forEach((subkey, i) => {
      expect(publicSubkey(publicKey, i).equals(Point.BASE.multiply(subkey))).toBe(true);
    });
  });

  it('refuse parameters and encodings out of range', () => {
    expect(() => generateSecretKey({ random }, { threshold: 65 })).toThrow(/threshold/);
    expect(() => expandSecretKey(generateSecretKey({ random }), 0)).toThrow(/gamma/);
    expect(() => expandSecretKey(generateSecretKey({ random }), 65)).toThrow(/gamma/);
    expect(() => decodeSecretKey([])).toThrow(/coefficients/);
    expect(() => decodePublicKey([])).toThrow(/coefficients/);
    expect(() => decodeSecretKey([encodeScalar(GROUP_ORDER)])).toThrow(/coefficient 0.*canonical/);
    expect(() => decodePublicKey([Point.BASE.toBytes(), fromHex('ff'.repeat(32))])).toThrow(/coefficient 1.*canonical/);
  });
});

describe('diversified base points', () => {
  it('come from SHA-512 of the tag; an empty tag names the base point of the group', () => {
    const tag = utf8('a tag of some length');
    expect(diversifiedBasepoint(tag).equals(uniformBasepoint(sha512(tag)))).toBe(true);
    expect(diversifiedBasepoint(new Uint8Array(0)).equals(Point.BASE)).toBe(true);
    expect(diversifiedBasepoint(utf8('another')).equals(diversifiedBasepoint(tag))).toBe(false);
  });
});

describe('detection keys', () => {
  it('are sorted, so that one set of subkeys has one canonical form', () => {
    const a = makeDetectionKey([pair(7, 1n), pair(2, 2n), pair(11, 3n)]);
    const b = makeDetectionKey([pair(11, 3n), pair(7, 1n), pair(2, 2n)]);
    expect(a).toEqual(b);
    expect(toHex(canonicalDetectionKey(a))).toBe(
      `03${'02'}${toHex(encodeScalar(2n))}${'07'}${toHex(encodeScalar(1n))}${'0b'}${toHex(encodeScalar(3n))}`,
    );
  });

  it.each([
    ['no subkeys', [], /1 to 20 subkeys, got 0/],
    ['more subkeys than gamma', Array.from({ length: 21 }, (_, i) => pair(i)), /1 to 20 subkeys, got 21/],
    ['an index twice', [pair(3), pair(4), pair(3)], /index 3 appears twice/],
    ['an index at gamma', [pair(20)], /0 to 19/],
    ['a negative index', [pair(-1)], /0 to 19/],
    ['a fractional index', [pair(1.5)], /0 to 19/],
    ['a scalar at the group order', [pair(1, GROUP_ORDER)], /subkey of index 1: not a canonical scalar/],
    ['a short scalar', [{ index: 1, subkey: new Uint8Array(31) }], /subkey of index 1.*32 bytes, got 31/],
  ])('refuse %s', (_name, pairs, message) => {
    expect(() => makeDetectionKey(pairs)).toThrow(message);
  });

  it('do not share memory with what they were made of', () => {
    const subkey = encodeScalar(9n);
    const key = makeDetectionKey([{ index: 0, subkey }]);
    subkey.fill(0);
    expect(toHex(key.subkeys[0]!)).toBe(toHex(encodeScalar(9n)));
  });
});

describe('linear forms', () => {
  const scalar = fc.bigInt({ min: 0n, max: GROUP_ORDER - 1n });
  const indexSet = fc.uniqueArray(fc.nat(19), { minLength: 2, maxLength: 20 });

  it('reproduce the subkeys at any indices whenever there are more of them than the degree explains', () => {
    fc.assert(
      fc.property(fc.array(scalar, { minLength: 1, maxLength: 4 }), indexSet, (coefficients, chosen) => {
        const indices = [...chosen].sort((a, b) => a - b);
        const values = indices.map((index) =>
          coefficients.reduceRight((sum, a) => modOrder(sum * BigInt(index + 1) + a), 0n),
        );
        const form = findLinearForm(indices, values);
        if (!form) {
          expect(coefficients.length).toBeGreaterThanOrEqual(indices.length);
          return;
        }
        expect(form.differences.length).toBeLessThanOrEqual(coefficients.length);
        const state = [...form.differences];
        for (let index = form.firstIndex; index <= form.lastIndex; index++) {
          const position = indices.indexOf(index);
          if (position >= 0) expect(state[0]).toBe(values[position]);
          for (let j = 0; j + 1 < state.length; j++) state[j] = modOrder(state[j]! + state[j + 1]!);
        }
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('are not seen in unrelated subkeys', () => {
    const values = Array.from({ length: 10 }, () => modOrder(BigInt(`0x${toHex(random.bytes(40))}`)));
    expect(findLinearForm(firstIndices(10), values)).toBeUndefined();
  });

  it('are not drawn through as many points as any polynomial would pass', () => {
    expect(findLinearForm([0, 5], [3n, 11n])).toBeUndefined();
    expect(findLinearForm([0], [3n])).toBeUndefined();
  });
});

describe('seeds', () => {
  const seed = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');

  it('give the same keys for ever: these values are part of the format', () => {
    const keys = deriveSeedKeys(seed);
    expect({
      dataKey: toHex(keys.dataKey),
      coefficients: keys.secretKey.coefficients.map(encodeScalar).map(toHex),
      auth: toHex(deriveAuthSecret(seed)),
    }).toMatchInlineSnapshot(`
      {
        "auth": "47685df2e8637e969086fbba306f60959ec872a54dc3ef68f6ae0880bac53e58",
        "coefficients": [
          "8f75bbf159892bd89bfda02dbbd3c35469540e83ac5037526937cb64bd43d600",
          "3dc38c9141becf96c491c4c0ae52916dfdff3e6c2ff794594fd3b5aa3d1a1b04",
        ],
        "dataKey": "cf7bc00a7d93a21af984f2ef82d952de39a5dcd9ebccc5d775141bf4fee3a175",
      }
    `);
  });

  it('give detection keys of the first n indices on the derived polynomial', () => {
    const keys = deriveSeedKeys(seed);
    expect(seedDetectionKey(keys, 5)).toEqual(deriveDetectionKey(keys.secretKey, [0, 1, 2, 3, 4]));
  });

  it('refuse other lengths and n outside 1 to 20', () => {
    expect(() => deriveSeedKeys(seed.slice(1))).toThrow(/32 bytes, got 31/);
    expect(() => deriveAuthSecret(new Uint8Array(33))).toThrow(/32 bytes, got 33/);
    for (const n of [0, 21, 1.5, Number.NaN])
      expect(() => seedDetectionKey(deriveSeedKeys(seed), n)).toThrow(/1 to 20/);
  });

  it('share nothing between purposes: another seed changes every derived value', () => {
    const a = deriveSeedKeys(seed);
    const b = deriveSeedKeys(seed.map((byte) => byte ^ 1));
    expect(toHex(a.dataKey)).not.toBe(toHex(b.dataKey));
    expect(a.secretKey.coefficients[0]).not.toBe(b.secretKey.coefficients[0]);
    expect(a.secretKey.coefficients[1]).not.toBe(b.secretKey.coefficients[1]);
    expect(toHex(deriveAuthSecret(seed))).not.toBe(toHex(a.dataKey));
  });
});
