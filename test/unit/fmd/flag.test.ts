import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { createFlag } from '../../../src/fmd/create-flag.ts';
import { detect, prepareFlag, prepareKey } from '../../../src/fmd/detect.ts';
import { checkFlag, decodeFlagBorsh, encodeFlagBorsh, equalFlags, isDecodableFlag } from '../../../src/fmd/flag.ts';
import {
  deriveDetectionKey,
  diversifiedBasepoint,
  firstIndices,
  generateSecretKey,
  publicKeyOf,
} from '../../../src/fmd/keys.ts';
import { randomFlag } from '../../support/fmd.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('flag tests');

/** The group order, little-endian: the smallest value that is no canonical scalar. */
const ORDER = 'edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010';

describe('making flags', () => {
  it.each([
    ['the base point', ''],
    ['a diversified base point', 'a tag'],
  ])('over %s, the receiver detects every one with every choice of subkeys', (_name, tag) => {
    const secret = generateSecretKey({ random });
    const publicKey = publicKeyOf(secret, diversifiedBasepoint(new TextEncoder().encode(tag)));
    const keys = [firstIndices(20), [19], [3, 7, 11]].map((indices) => prepareKey(deriveDetectionKey(secret, indices)));
    for (let i = 0; i < 10; i++) {
      expect(detect(prepareFlag(createFlag({ random }, publicKey)), keys)).toEqual([true, true, true]);
    }
  });

  it('draws a new base for the chameleon hash each time, so that flags of one receiver are unlike', () => {
    const publicKey = publicKeyOf(generateSecretKey({ random }));
    const flags = Array.from({ length: 4 }, () => createFlag({ random }, publicKey));
    expect(new Set(flags.map(({ basepoint }) => toHex(basepoint))).size).toBe(4);
    expect(new Set(flags.map(({ u }) => toHex(u))).size).toBe(4);
  });

  it('binds the bits: a flag with one bit changed is no flag for its receiver any more', () => {
    const secret = generateSecretKey({ random });
    const flag = createFlag({ random }, publicKeyOf(secret));
    const key = prepareKey(deriveDetectionKey(secret, firstIndices(20)));
    const bits = flag.bits.slice();
    bits[0] = bits[0]! ^ 1;
    expect(detect(prepareFlag({ ...flag, bits }), [key])).toEqual([false]);
  });
});

describe('checking flags', () => {
  const good = randomFlag(random);
  const broken = {
    'a point that is not on the group': { u: fromHex('01'.repeat(32)) },
    'a point with the high bit set': { u: fromHex(`${toHex(good.u).slice(0, 62)}ff`) },
    'a negative field element': { basepoint: fromHex(`01${'00'.repeat(31)}`) },
    'a field element above p': { basepoint: fromHex(`ee${'ff'.repeat(30)}7f`) },
    'a scalar equal to the group order': { y: fromHex(ORDER) },
    'a scalar with all bits set': { y: fromHex('ff'.repeat(32)) },
    'a short point': { u: good.u.slice(1) },
    'a short scalar': { y: good.y.slice(1) },
    'too few bytes of bits': { bits: good.bits.slice(1) },
    'too many bytes of bits': { bits: new Uint8Array(4) },
    'a padding bit that is set': { bits: Uint8Array.of(0, 0, 0x10) },
  };

  it.each(Object.entries(broken))('refuses %s', (_name, part) => {
    expect(() => checkFlag({ ...good, ...part })).toThrow(expect.objectContaining({ code: 'bad-encoding' }));
  });

  it('accepts the identity and the zero scalar, which are canonical', () => {
    const zero = new Uint8Array(32);
    expect(checkFlag({ ...good, u: zero, basepoint: zero, y: zero }).u.is0()).toBe(true);
  });
});

describe('the Borsh decoder', () => {
  const good = encodeFlagBorsh(randomFlag(random));

  it('ignores the leading size, as Namada does, and nothing else', () => {
    const other = good.slice();
    other.set([0xff, 0xff, 0xff, 0xff]);
    expect(equalFlags(decodeFlagBorsh(other), decodeFlagBorsh(good))).toBe(true);
    for (const at of [100, 104, 107]) {
      const wrong = good.slice();
      wrong[at] = wrong[at]! ^ 1;
      expect(isDecodableFlag(wrong)).toBe(false);
    }
  });

  it('refuses every other length', () => {
    for (let length = 0; length < good.length; length++) expect(isDecodableFlag(good.subarray(0, length))).toBe(false);
    expect(isDecodableFlag(new Uint8Array([...good, 0]))).toBe(false);
  });

  it('answers every mutation with a flag that encodes to it, up to the size field, or with its own error', () => {
    const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(edits, fc.integer({ min: 100, max: 120 }), (changes, length) => {
        const bytes = new Uint8Array(length);
        bytes.set(good.subarray(0, length));
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          const again = encodeFlagBorsh(decodeFlagBorsh(bytes));
          expect(toHex(again.subarray(4))).toBe(toHex(bytes.subarray(4)));
        } catch (error) {
          if (!isKithError(error, 'bad-encoding')) throw error;
        }
      }),
      { numRuns: fuzzRuns(20_000) },
    );
  });
});
