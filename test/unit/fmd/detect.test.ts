import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { edwardsOf, encodeDoubles, halve, multiplyEdwards } from '../../../src/fmd/batch-encode.ts';
import { detect, prepareFlag, prepareKey } from '../../../src/fmd/detect.ts';
import {
  encodeScalar,
  GROUP_ORDER,
  modOrder,
  multiply,
  Point,
  pointFromUniform,
  randomScalar,
} from '../../../src/fmd/group.ts';
import { deriveDetectionKey, firstIndices, generateSecretKey, makeDetectionKey } from '../../../src/fmd/keys.ts';
import { naiveDetect, randomDetectionKey, randomFlag } from '../../support/fmd.ts';
import { longForm } from '../../support/fuzz.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('detection tests');

describe('batched encodings', () => {
  it('of the doubles of halved multiples are those of the multiples, the identity and its neighbours included', () => {
    const point = pointFromUniform(random.bytes(64));
    const scalars = [0n, 1n, 2n, 3n, GROUP_ORDER - 1n, GROUP_ORDER - 2n, (GROUP_ORDER + 1n) / 2n];
    for (let i = 0; i < 40; i++) scalars.push(randomScalar(random));
    const halves = scalars.map((scalar) => multiplyEdwards(edwardsOf(point), halve(scalar)));
    expect(encodeDoubles(halves).map(toHex)).toEqual(scalars.map((scalar) => toHex(multiply(point, scalar).toBytes())));
  });

  it('do not depend on the company: one point alone, none at all, only identities', () => {
    const zero = edwardsOf(Point.ZERO);
    const base = edwardsOf(Point.BASE);
    const encoded = toHex(Point.BASE.double().toBytes());
    expect(encodeDoubles([]).length).toBe(0);
    expect(encodeDoubles([base]).map(toHex)).toEqual([encoded]);
    expect(encodeDoubles([zero, base, zero]).map(toHex)).toEqual(['00'.repeat(32), encoded, '00'.repeat(32)]);
    expect(encodeDoubles([zero, zero]).map(toHex)).toEqual(['00'.repeat(32), '00'.repeat(32)]);
  });

  it('halve scalars exactly', () => {
    for (const scalar of [0n, 1n, 2n, GROUP_ORDER - 1n, randomScalar(random)]) {
      expect(modOrder(2n * halve(scalar))).toBe(scalar);
      expect(halve(scalar)).toBeLessThan(GROUP_ORDER);
    }
  });
});

describe('detection', () => {
  const edgeKeys = [
    makeDetectionKey([{ index: 0, subkey: encodeScalar(0n) }]),
    makeDetectionKey([0, 1, 2].map((index) => ({ index, subkey: encodeScalar(0n) }))),
    makeDetectionKey([4, 9].map((index) => ({ index, subkey: encodeScalar(GROUP_ORDER - 1n) }))),
    makeDetectionKey([1, 5, 19].map((index) => ({ index, subkey: encodeScalar(BigInt(index)) }))),
  ];
  const keys = [
    ...edgeKeys,
    randomDetectionKey(random, [3]),
    randomDetectionKey(random, [0, 7, 19]),
    deriveDetectionKey(generateSecretKey({ random }), firstIndices(10)),
    deriveDetectionKey(generateSecretKey({ random }), [2, 3, 17]),
    deriveDetectionKey(generateSecretKey({ random }, { threshold: 3 }), [1, 4, 5, 6, 12, 18]),
    deriveDetectionKey(generateSecretKey({ random }, { threshold: 7 }), firstIndices(9)),
  ];

  it('answers as the textbook does, for keys of all structures at once or alone, table or not', () => {
    const prepared = keys.map(prepareKey);
    for (let i = 0; i < 12; i++) {
      const flag = randomFlag(random);
      const expected = keys.map((key) => naiveDetect(flag, key));
      expect(detect(prepareFlag(flag), prepared)).toEqual(expected);
      expect(detect(prepareFlag(flag, 100), prepared)).toEqual(expected);
      expect(prepared.map((key) => detect(prepareFlag(flag), [key])[0])).toEqual(expected);
    }
  });

  it('answers for a flag whose u is the identity', () => {
    const flag = { ...randomFlag(random), u: new Uint8Array(32) };
    expect(detect(prepareFlag(flag, 100), keys.map(prepareKey))).toEqual(keys.map((key) => naiveDetect(flag, key)));
  });

  it('never matches with an index beyond the bits of the flag', () => {
    const flag = { ...randomFlag(random), gamma: 17, bits: Uint8Array.of(0xff, 0xff, 1) };
    const inRange = makeDetectionKey([{ index: 16, subkey: encodeScalar(3n) }]);
    const beyond = makeDetectionKey([{ index: 17, subkey: encodeScalar(3n) }]);
    expect(detect(prepareFlag(flag), [prepareKey(beyond), prepareKey(inRange)])).toEqual([
      false,
      naiveDetect(flag, inRange),
    ]);
  });
});

describe('the false-positive rate', () => {
  it.each([1, 3, 5])('is 2^-n for n = %i, within five standard deviations over random flags', (n) => {
    const flags = Array.from({ length: longForm ? 600 : 200 }, () => randomFlag(random));
    const keys = Array.from({ length: 6 }, () =>
      prepareKey(deriveDetectionKey(generateSecretKey({ random }), firstIndices(n))),
    );
    const trials = flags.length * keys.length;
    const hits = flags.flatMap((flag) => detect(prepareFlag(flag, 2 * keys.length), keys)).filter(Boolean).length;
    const rate = 2 ** -n;
    const deviation = Math.sqrt(trials * rate * (1 - rate));
    expect(Math.abs(hits - trials * rate)).toBeLessThan(5 * deviation);
  });
});
