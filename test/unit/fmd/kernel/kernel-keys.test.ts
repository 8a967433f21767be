import { describe, expect, it } from 'vitest';
import { createKernel, createKernelMemory, type KeyRows } from '../../../../src/fmd/kernel/kernel.ts';
import { kernelPacking } from '../../../../src/fmd/kernel/key-rows.ts';
import { TABLE, TABLE_BYTES_MAX, TILE, WIPED } from '../../../../src/fmd/kernel/layout.ts';
import { choosePlan, planCost, windowCount } from '../../../../src/fmd/kernel/table-plan.ts';
import { type DetectionKey, deriveDetectionKey, generateSecretKey } from '../../../../src/fmd/keys.ts';
import { randomDetectionKey, randomFlag } from '../../../support/fmd.ts';
import { kernelModule } from '../../../support/kernel.ts';
import { assortedKeys, packKeys, reference } from '../../../support/kernel-keys.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

const random = seededRandom('kernel keys');
const module = kernelModule();

describe('keys in the kernel', () => {
  it('take at most 64 bytes per subkey, and are grouped by what they share', () => {
    const classOf = (key: DetectionKey) => kernelPacking.classify(key).name;
    for (const key of assortedKeys(random, 14)) {
      expect(kernelPacking.classify(key).rowBytes).toBeLessThanOrEqual(64 * key.indices.length);
    }
    const linear = (indices: readonly number[]) => deriveDetectionKey(generateSecretKey({ random }), indices);
    expect(classOf(linear([0, 1, 2]))).toBe(classOf(linear([0, 1, 2])));
    expect(classOf(linear([0, 1, 2]))).not.toBe(classOf(linear([0, 1, 3])));
    expect(classOf(randomDetectionKey(random, [0, 1, 2]))).toBe(classOf(randomDetectionKey(random, [4, 9, 11])));
    expect(classOf(linear([0, 1]))).toBe(classOf(randomDetectionKey(random, [5, 6])));
  });

  it('that were removed never match, and do not disturb the others', () => {
    const keys = Array.from({ length: 21 }, (_, i) => randomDetectionKey(random, [i % 20]));
    const linear = Array.from({ length: 9 }, () => deriveDetectionKey(generateSecretKey({ random }), [0, 1, 2]));
    const flag = randomFlag(random);
    for (const set of [keys, linear]) {
      const { groups } = packKeys(set);
      const [group] = groups as [KeyRows];
      const expected = reference(set, flag);
      for (const gone of [[0], [3, 4], [set.length - 1], [...set.keys()], [...set.keys()].slice(1)]) {
        const bytes = group.bytes.slice();
        for (const row of gone) bytes.fill(0, row * group.rowBytes, (row + 1) * group.rowBytes);
        const kernel = createKernel(module);
        kernel.load([{ ...group, bytes }, group]);
        expect(kernel.keys).toBe(2 * set.length);
        const matches = new Uint8Array(Math.ceil((2 * set.length) / 8));
        expect(kernel.detect(flag, matches)).toBe(true);
        const bits = Array.from({ length: 2 * set.length }, (_, k) => ((matches[k >> 3]! >> (k & 7)) & 1) === 1);
        expect(bits).toEqual([...expected.map((match, row) => match && !gone.includes(row)), ...expected]);
      }
    }
  });

  it('are read from chosen rows of shared memory, and none of them survives a wipe', () => {
    const keys = Array.from({ length: 6 }, (_, i) => randomDetectionKey(random, [i, i + 1]));
    const { groups } = packKeys(keys);
    const [{ bytes: source, rowBytes }] = groups as [KeyRows];
    const shared = new Uint8Array(new SharedArrayBuffer(source.length));
    shared.set(source);
    const memory = createKernelMemory();
    const kernel = createKernel(module, { memory });
    kernel.load([{ bytes: shared, rowBytes, rows: Uint16Array.of(1, 4, 5) }]);
    const flag = randomFlag(random);
    const matches = new Uint8Array(1);
    expect(kernel.detect(flag, matches)).toBe(true);
    const expected = reference([keys[1]!, keys[4]!, keys[5]!], flag);
    expect([0, 1, 2].map((bit) => ((matches[0]! >> bit) & 1) === 1)).toEqual(expected);
    const left = () => {
      const bytes = new Uint8Array(memory.buffer);
      return [...bytes.subarray(WIPED, TABLE), ...bytes.subarray(TILE)].filter((byte) => byte !== 0).length;
    };
    expect(left()).toBeGreaterThan(1000);
    kernel.wipe();
    expect(kernel.keys).toBe(0);
    expect(left()).toBe(0);
  });

  it('need at most 1 MB of memory beside themselves, the widest table included', () => {
    for (const windowBits of [4, 5, 6, 7, 8]) {
      const entries = Math.max(16, 2 ** (windowBits - 1));
      expect(windowCount(windowBits) * 120 * entries).toBeLessThanOrEqual(TABLE_BYTES_MAX);
    }
    expect(TABLE + TABLE_BYTES_MAX).toBeLessThanOrEqual(TILE);
    expect(TILE).toBeLessThan(2 ** 20);
    const kernel = createKernel(module);
    expect(kernel.memoryBytes).toBeLessThanOrEqual(2 ** 20);
    kernel.load(packKeys([randomDetectionKey(random, [0])]).groups);
    expect(kernel.memoryBytes).toBeLessThanOrEqual(2 ** 20);
  });
});

describe('the table plan', () => {
  it('takes wider windows for more keys, and one window with doublings for the fewest', () => {
    const plans = [1, 3, 10, 25, 100, 500, 2500, 25_000].map(choosePlan);
    const widths = plans.map(({ windowBits }) => windowBits);
    expect(widths).toEqual([...widths].sort((a, b) => a - b));
    expect(plans[0]!.stride).toBeGreaterThan(1);
    expect(plans.at(-1)).toEqual({ windowBits: 8, stride: 1 });
    for (const [i, quads] of [1, 3, 10, 25, 100, 500, 2500, 25_000].entries()) {
      for (const other of plans) expect(planCost(plans[i]!, quads)).toBeLessThanOrEqual(planCost(other, quads));
    }
  });
});
