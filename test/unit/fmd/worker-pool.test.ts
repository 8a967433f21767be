import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDetectionEngine } from '../../../src/fmd/engine.ts';
import { encodeFlagBorsh, type Flag } from '../../../src/fmd/flag.ts';
import { createKernel, createKernelMemory } from '../../../src/fmd/kernel/kernel.ts';
import { kernelPacking } from '../../../src/fmd/kernel/key-rows.ts';
import { type DetectionKey, deriveDetectionKey, firstIndices, generateSecretKey } from '../../../src/fmd/keys.ts';
import { parseKeysFile } from '../../../src/fmd/keys-file.ts';
import { createRecordedChainReader } from '../../../src/fmd/recorded-chain.ts';
import { createWorkerExecutor, type WorkerExecutor } from '../../../src/fmd/worker-pool/executor.ts';
import { testUnit } from '../../../src/fmd/worker-pool/unit.ts';
import { warmUp } from '../../../src/fmd/worker-pool/warm-up.ts';
import { naiveDetect, randomDetectionKey, randomFlag } from '../../support/fmd.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { kernelModule } from '../../support/kernel.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { chainPath, receiversPath, recordedReceivers } from '../../support/vectors.ts';

const random = seededRandom('worker pool');

/** Keys of every class at once: few subkeys and many, arbitrary and linear, consecutive and scattered indices. */
const someKeys: readonly DetectionKey[] = [
  ...[1, 2, 3, 5].map((n) => randomDetectionKey(random, firstIndices(n))),
  ...[2, 3, 4, 7].map((n) => deriveDetectionKey(generateSecretKey({ random }), firstIndices(n))),
  deriveDetectionKey(generateSecretKey({ random }), [1, 4, 19]),
  deriveDetectionKey(generateSecretKey({ random }, { threshold: 3 }), [0, 2, 3, 5, 8, 13]),
  randomDetectionKey(random, [7]),
];
const someFlags: readonly Flag[] = Array.from({ length: 24 }, () => randomFlag(random));
const expected = someFlags.map((flag) => someKeys.map((key) => naiveDetect(flag, key)));

describe.each([1, 2, 3])('the engine on %i workers', (workers) => {
  let executor: WorkerExecutor;
  const replaced: string[] = [];
  beforeAll(async () => {
    executor = createWorkerExecutor({ onReplaced: (reason) => replaced.push(reason) }, { workers });
    await executor.start();
  });
  afterAll(() => executor.stop());

  /** The executor outlives its engines: stopping one must not end the workers of the next. */
  const engineOn = () => createDetectionEngine({ executor: { ...executor, stop: async () => undefined } });

  async function check(keys: readonly number[], groups: readonly (readonly number[])[], interrupt: boolean) {
    const engine = engineOn();
    const slots = keys.map((k) => engine.add(someKeys[k]!));
    const transactions = groups.map((flags) => ({ flags: flags.map((f) => encodeFlagBorsh(someFlags[f]!)) }));
    const job = engine.detect({ lane: 'head', transactions });
    if (interrupt) await executor.crashWorker(workers - 1);
    const result = await job;
    slots.forEach((slot, i) => {
      const position = result.slots.indexOf(slot);
      const found = transactions.map((_, index) => result.matches(index, position));
      const wanted = groups.map((flags) => flags.length === 0 || flags.some((f) => expected[f]![keys[i]!]));
      expect(found).toEqual(wanted);
    });
    await engine.stop();
  }

  it('answers as the textbook does, for any mixture of keys and flags', async () => {
    const index = (count: number) => fc.nat(count - 1);
    await fc.assert(
      fc.asyncProperty(
        fc.array(index(someKeys.length), { minLength: 1, maxLength: 40 }),
        fc.array(fc.array(index(someFlags.length), { maxLength: 4 }), { maxLength: 12 }),
        (keys, groups) => check(keys, groups, false),
      ),
      { numRuns: fuzzRuns(40) },
    );
  });

  it('loses nothing when a worker dies in the middle of its work', async () => {
    const before = replaced.length;
    const keys = [...someKeys.keys()];
    for (let i = 0; i < 5; i++)
      await check(
        keys,
        someFlags.map((_, f) => [f]),
        true,
      );
    expect(replaced.length).toBeGreaterThan(before);
  });

  it('counts broken flags, and keeps a removed key from harming the rest', async () => {
    const engine = engineOn();
    const goes = engine.add(someKeys[0]!);
    const stays = engine.add(someKeys[1]!);
    const broken = encodeFlagBorsh(someFlags[0]!);
    broken.fill(0xff, 36, 68);
    const good = someFlags.slice(0, 8).map((flag) => ({ flags: [encodeFlagBorsh(flag)] }));
    const job = engine.detect({ lane: 'head', transactions: [{ flags: [broken] }, ...good] });
    engine.remove(goes);
    engine.add(someKeys[4]!);
    const result = await job;
    expect(result.undecodable).toEqual([0]);
    const position = result.slots.indexOf(stays);
    const found = good.map((_, i) => result.matches(i + 1, position));
    expect(found).toEqual(someFlags.slice(0, 8).map((flag) => naiveDetect(flag, someKeys[1]!)));
    await engine.stop();
  });
});

describe('a pool', () => {
  it('finds the whole recorded chain exactly, for all its receivers', async () => {
    const engine = createDetectionEngine({ executor: createWorkerExecutor({}, { workers: 2 }) });
    await engine.start();
    const reader = createRecordedChainReader('chain.jsonl');
    const transactions = readFileSync(chainPath, 'utf8').trimEnd().split('\n').map(reader.line);
    const { receivers } = parseKeysFile(readFileSync(receiversPath, 'utf8'), 'receivers.json');
    const slots = receivers.map(({ key }) => engine.add(key));
    const result = await engine.detect({ lane: 'head', transactions });
    recordedReceivers().forEach(({ index_set }, i) => {
      const position = result.slots.indexOf(slots[i]!);
      const found = transactions
        .filter((_, index) => result.matches(index, position))
        .map(({ height, blockIndex }) => [height, blockIndex]);
      expect(found).toEqual(index_set);
    });
    await engine.stop();
  });

  it('serves the head of the chain while a backfill runs: it never waits for more than the units in flight', async () => {
    const engine = createDetectionEngine({ executor: createWorkerExecutor({}, { workers: 1 }) });
    await engine.start();
    const slot = engine.add(someKeys[5]!);
    const flags = [encodeFlagBorsh(someFlags[0]!)];
    let backfilled = 0;
    let total = 0;
    const backfill = engine.detect({
      lane: 'backfill',
      slots: [slot],
      transactions: Array.from({ length: 3_000 }, () => ({ flags })),
      onProgress: (done, all) => {
        backfilled = done;
        total = all;
      },
    });
    await engine.detect({ lane: 'head', transactions: [{ flags }] });
    expect(backfilled).toBeLessThan(total === 0 ? 3_000 : total / 2);
    await backfill;
    expect([backfilled, total]).toEqual([3_000, 3_000]);
    await engine.stop();
  });

  it('rejects what is in work when it is stopped, and what comes after', async () => {
    const executor = createWorkerExecutor({}, { workers: 1 });
    const engine = createDetectionEngine({ executor });
    await engine.start();
    engine.add(someKeys[0]!);
    const transactions = Array.from({ length: 200 }, () => ({ flags: [encodeFlagBorsh(someFlags[0]!)] }));
    const job = engine.detect({ lane: 'head', transactions });
    job.catch(() => undefined);
    await engine.stop();
    await expect(job).rejects.toMatchObject({ code: 'engine-stopped' });
    await expect(executor.run({ flags: new Uint8Array(0), selections: [] })).rejects.toMatchObject({
      code: 'engine-stopped',
    });
  });

  it('refuses a senseless number of workers', () => {
    for (const workers of [0, 1.5, 257]) {
      expect(() => createWorkerExecutor({}, { workers })).toThrow(/1 to 256/);
    }
  });
});

describe('a worker', () => {
  it('leaves no byte run of a key behind, whether the unit went well or not', () => {
    const memory = createKernelMemory();
    const kernel = createKernel(kernelModule(), { memory });
    warmUp(kernel);
    const key = someKeys[3]!;
    const { rowBytes } = kernelPacking.classify(key);
    const shared = new SharedArrayBuffer(rowBytes);
    kernelPacking.pack(key, new Uint8Array(shared));
    const row = new Uint8Array(shared).slice();
    const request = {
      flags: encodeFlagBorsh(someFlags[0]!),
      tiles: [{ memory: shared, rowBytes, rows: Uint16Array.of(0) }],
    };
    const scalarsAt = row.length - 32 * key.indices.length;
    const seen = (): boolean => {
      const bytes = Buffer.from(memory.buffer);
      // Rows are transposed in the kernel, so single bytes are what can be looked for: all of a scalar's in its plane.
      const scalar = row.subarray(scalarsAt, scalarsAt + 32);
      return bytes.includes(Buffer.from(scalar.subarray(0, 8))) || planesHold(bytes, scalar);
    };
    kernel.load([{ bytes: new Uint8Array(shared), rowBytes, rows: [0] }]);
    expect(seen()).toBe(true);
    kernel.wipe();
    expect(seen()).toBe(false);
    testUnit(kernel, request);
    expect(seen()).toBe(false);
    const broken = request.flags.slice();
    broken.fill(0xff, 36, 68);
    expect(testUnit(kernel, { ...request, flags: broken }).undecodable).toEqual(Uint8Array.of(1));
    expect(seen()).toBe(false);
  });
});

/** Whether the bytes of a scalar stand 16 apart somewhere, as in a tile. */
function planesHold(bytes: Buffer, scalar: Uint8Array): boolean {
  for (let at = bytes.indexOf(scalar[0]!); at >= 0; at = bytes.indexOf(scalar[0]!, at + 1)) {
    if (scalar.every((byte, i) => bytes[at + 16 * i] === byte)) return true;
  }
  return false;
}
