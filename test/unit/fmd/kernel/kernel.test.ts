import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileKernel } from '../../../../scripts/build-kernel.ts';
import { bigintToLe, fromHex, leToBigint } from '../../../../src/core/bytes.ts';
import { createFlag } from '../../../../src/fmd/create-flag.ts';
import { prepareFlag } from '../../../../src/fmd/detect.ts';
import { decodeFlagBorsh, type Flag } from '../../../../src/fmd/flag.ts';
import { encodeScalar, GROUP_ORDER, randomScalar } from '../../../../src/fmd/group.ts';
import { FIELD_PRIME } from '../../../../src/fmd/kernel/constants.ts';
import { createKernel } from '../../../../src/fmd/kernel/kernel.ts';
import { simdSupported } from '../../../../src/fmd/kernel/simd.ts';
import { windowCount } from '../../../../src/fmd/kernel/table-plan.ts';
import {
  deriveDetectionKey,
  firstIndices,
  generateSecretKey,
  makeDetectionKey,
  publicKeyOf,
} from '../../../../src/fmd/keys.ts';
import { createRecordedChainReader } from '../../../../src/fmd/recorded-chain.ts';
import { flagOfParts, randomDetectionKey, randomFlag } from '../../../support/fmd.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { kernelBytes, kernelModule } from '../../../support/kernel.ts';
import { ask, assortedKeys, packKeys, reference } from '../../../support/kernel-keys.ts';
import { seededRandom } from '../../../support/seeded-random.ts';
import { chainPath, fmdVectors, recordedReceivers } from '../../../support/vectors.ts';

const random = seededRandom('kernel');
const module = kernelModule();

describe('the kernel', () => {
  it('runs here', () => {
    expect(simdSupported()).toBe(true);
  });

  it('comes from its source alone: the same bytes each time, what the build made', async () => {
    const again = await compileKernel('index');
    expect(again).toEqual(kernelBytes());
  });

  it('imports nothing but its memory, exports functions only, and keeps no state outside that memory', () => {
    expect(WebAssembly.Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
    expect(WebAssembly.Module.exports(module).map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'loadFlag function',
      'detectSubkeys function',
      'detectLinear function',
    ]);
  });

  it('answers every vector of polyfuzzy by the rule of the paper', () => {
    const kernel = createKernel(module);
    for (const { gamma, indices, subkeys, flag, detect_spec } of fmdVectors().cases) {
      const key = makeDetectionKey(
        indices.map((index, i) => ({ index, subkey: fromHex(subkeys[i]!) })),
        gamma,
      );
      const parts = [flag.basepoint_ch, flag.u, flag.y, flag.c].map(fromHex);
      expect(ask(kernel, [key], flagOfParts(gamma, ...parts))).toEqual([detect_spec]);
    }
  });

  it('answers like the reference for keys of all structures together, by every table', () => {
    for (const windowBits of [4, 5, 6, 7, 8]) {
      for (const stride of [1, 3, windowCount(windowBits)]) {
        const kernel = createKernel(module, { plan: { windowBits, stride } });
        const keys = assortedKeys(random, 28);
        for (let i = 0; i < 3; i++) {
          const flag = randomFlag(random);
          expect(ask(kernel, keys, flag)).toEqual(reference(keys, flag));
        }
      }
    }
  });

  it('answers like the reference for random numbers of keys and flags', () => {
    const kernel = createKernel(module);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 13 }), (count, skip) => {
        const keys = assortedKeys(random, count + skip).slice(skip);
        const flag = randomFlag(random);
        expect(ask(kernel, keys, flag)).toEqual(reference(keys, flag));
      }),
      { numRuns: fuzzRuns(25) },
    );
  });

  it('answers like the reference for more keys than one batch holds, of one class', () => {
    const kernel = createKernel(module);
    const subkeys = Array.from({ length: 700 }, () => randomDetectionKey(random, [0]));
    const triples = Array.from({ length: 180 }, () => randomDetectionKey(random, [0, 4, 5]));
    const linear = Array.from({ length: 270 }, () => deriveDetectionKey(generateSecretKey({ random }), [0, 1, 3]));
    const flag = randomFlag(random);
    for (const keys of [subkeys, triples, linear]) expect(ask(kernel, keys, flag)).toEqual(reference(keys, flag));
  });

  it('finds every flag of its owner, whatever n and the indices', () => {
    const kernel = createKernel(module);
    const secret = generateSecretKey({ random });
    const keys = [firstIndices(1), firstIndices(2), firstIndices(20), [4, 9], [0, 10, 19], firstIndices(10)].map(
      (indices) => deriveDetectionKey(secret, indices),
    );
    const publicKey = publicKeyOf(secret);
    for (let i = 0; i < 5; i++) {
      expect(ask(kernel, keys, createFlag({ random }, publicKey))).toEqual(keys.map(() => true));
    }
  });

  it('never matches with an index beyond the bits of the flag', () => {
    const kernel = createKernel(module);
    const subkey = encodeScalar(randomScalar(random));
    const keys = [16, 17, 19].map((index) => makeDetectionKey([{ index, subkey }]));
    const flag = { ...randomFlag(random), gamma: 17, bits: new Uint8Array(3) };
    const flipped = { ...flag, bits: Uint8Array.of(0xff, 0xff, 1) };
    for (const tried of [flag, flipped]) expect(ask(kernel, keys, tried)).toEqual([...reference(keys, tried)]);
    expect(reference(keys, flag).slice(1)).toEqual([false, false]);
  });

  it('answers for flags whose u or basepoint is the identity', () => {
    const kernel = createKernel(module);
    const keys = assortedKeys(random, 14);
    const flag = randomFlag(random);
    const identity = new Uint8Array(32);
    for (const odd of [
      { ...flag, u: identity },
      { ...flag, basepoint: identity },
      { ...flag, y: new Uint8Array(32) },
    ]) {
      expect(ask(kernel, keys, odd)).toEqual(reference(keys, odd));
    }
  });

  it('refuses exactly the flags that the reference refuses', () => {
    const kernel = createKernel(module);
    const keys = assortedKeys(random, 2);
    const good = randomFlag(random);
    const plusPrime = (bytes: Uint8Array) => {
      const small = bytes.slice(0, 1);
      return bigintToLe(BigInt(small[0]! & 0x0e) + FIELD_PRIME, 32);
    };
    const bad: Flag[] = [
      { ...good, y: bigintToLe(GROUP_ORDER, 32) },
      { ...good, y: good.y.slice(1) },
      { ...good, u: bigintToLe(FIELD_PRIME, 32) },
      { ...good, u: plusPrime(good.u) },
      { ...good, basepoint: good.basepoint.map((byte, i) => (i === 31 ? byte | 0x80 : byte)) },
      { ...good, u: good.u.slice(1) },
      { ...good, bits: good.bits.map((byte, i) => (i === 2 ? byte | 0x10 : byte)) },
      { ...good, bits: good.bits.slice(1) },
    ];
    for (const flag of bad) {
      expect(() => prepareFlag(flag)).toThrow();
      expect(ask(kernel, keys, flag)).toBeUndefined();
    }
    // Half of all canonical even field elements are no encodings; negative ones never are.
    const verdicts = new Set<boolean>();
    for (let i = 0; i < 200; i++) {
      const bytes = bigintToLe(leToBigint(random.bytes(32)) % FIELD_PRIME, 32);
      for (const flag of [
        { ...good, u: bytes },
        { ...good, basepoint: bytes },
      ]) {
        const accepted = accepts(flag);
        verdicts.add(accepted);
        expect(ask(kernel, keys, flag) !== undefined).toBe(accepted);
      }
    }
    expect(verdicts.size).toBe(2);
  });

  it('gives the recorded chain its index sets', () => {
    const reader = createRecordedChainReader('chain.jsonl');
    const transactions = readFileSync(chainPath, 'utf8').trimEnd().split('\n').map(reader.line);
    const receivers = recordedReceivers();
    const keys = receivers.map(({ detection_key: { indices, subkeys } }) =>
      makeDetectionKey(indices.map((index, i) => ({ index, subkey: fromHex(subkeys[i]!) }))),
    );
    const { groups, positions } = packKeys(keys);
    const kernel = createKernel(module);
    kernel.load(groups);
    const found = receivers.map(() => [] as [number, number][]);
    const matches = new Uint8Array(Math.ceil(keys.length / 8));
    for (const { height, blockIndex, flags } of transactions) {
      const any = new Uint8Array(matches.length);
      let everybody = flags === undefined;
      for (const flag of flags ?? []) {
        if (accepts(flag) && kernel.detect(decodeFlagBorsh(flag), matches))
          any.forEach((byte, i) => {
            any[i] = byte | matches[i]!;
          });
        else everybody = true;
      }
      positions.forEach((position, bit) => {
        if (everybody || (any[bit >> 3]! >> (bit & 7)) & 1) found[position]!.push([height, blockIndex]);
      });
    }
    expect(found).toEqual(receivers.map(({ index_set }) => index_set));
  });
});

/** Whether the reference decodes a flag, in parts or in Borsh. */
function accepts(flag: Flag | Uint8Array): boolean {
  try {
    if (flag instanceof Uint8Array) decodeFlagBorsh(flag);
    else prepareFlag(flag);
    return true;
  } catch {
    return false;
  }
}
