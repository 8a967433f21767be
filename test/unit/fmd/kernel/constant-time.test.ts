import { beforeAll, describe, expect, it } from 'vitest';
import { compileKernel } from '../../../../scripts/build-kernel.ts';
import { createFlag } from '../../../../src/fmd/create-flag.ts';
import type { Flag } from '../../../../src/fmd/flag.ts';
import { encodeScalar, GROUP_ORDER } from '../../../../src/fmd/group.ts';
import { writeConstants } from '../../../../src/fmd/kernel/constants.ts';
import { writeFlag } from '../../../../src/fmd/kernel/flag-input.ts';
import { kernelPacking } from '../../../../src/fmd/kernel/key-rows.ts';
import { LINEAR_INDICES, TABLE, TILE, WIPED } from '../../../../src/fmd/kernel/layout.ts';
import type { TablePlan } from '../../../../src/fmd/kernel/table-plan.ts';
import { fillTile, headerOf, type KeyRows, planTile } from '../../../../src/fmd/kernel/tile.ts';
import {
  type DetectionKey,
  deriveDetectionKey,
  firstIndices,
  generateSecretKey,
  makeDetectionKey,
  publicKeyOf,
} from '../../../../src/fmd/keys.ts';
import { randomDetectionKey, randomFlag } from '../../../support/fmd.ts';
import { longForm } from '../../../support/fuzz.ts';
import { kernelBytes } from '../../../support/kernel.ts';
import { seededRandom } from '../../../support/seeded-random.ts';
import { instrument, resetTrace, type Trace } from '../../../support/wasm-trace.ts';

const random = seededRandom('constant time');
/** Keys of a run: one whole block and a part of one. */
const KEYS = 5;
const SETS = longForm ? 60 : 12;

type Detect = (...numbers: number[]) => void;

interface Traced {
  readonly exports: Trace & Record<string, Detect>;
  readonly bytes: Uint8Array;
}

function instantiate(module: Uint8Array<ArrayBuffer>): Traced {
  const memory = new WebAssembly.Memory({ initial: TILE / 65_536 + 4 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(instrument(module)), { env: { memory } });
  writeConstants(new DataView(memory.buffer));
  return { exports: exports as unknown as Traced['exports'], bytes: new Uint8Array(memory.buffer) };
}

function rowsOf(keys: readonly DetectionKey[]): KeyRows {
  const { rowBytes } = kernelPacking.classify(keys[0]!);
  const bytes = new Uint8Array(rowBytes * keys.length);
  keys.forEach((key, row) => {
    expect(kernelPacking.classify(key).name).toBe(kernelPacking.classify(keys[0]!).name);
    kernelPacking.pack(key, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  });
  return { bytes, rowBytes, rows: keys.map((_, row) => row) };
}

/** What an observer sees of one detection, with the flag loaded and everything a former run left wiped. */
function traceOf({ exports, bytes }: Traced, keys: readonly DetectionKey[], plan: TablePlan): string {
  const rows = rowsOf(keys);
  const header = headerOf(rows)!;
  const tile = planTile(header, keys.length, TILE);
  fillTile(bytes, tile, header, rows);
  resetTrace(exports);
  if (tile.degree === undefined) {
    const subkeys = keys.length * header.indices.length;
    exports['detectSubkeys']!(
      ...[keys.length, subkeys, tile.counts, tile.subkeyIndices, tile.blocks, tile.matches],
      ...[plan.windowBits, plan.stride],
    );
  } else {
    bytes.set(header.indices, LINEAR_INDICES);
    exports['detectLinear']!(
      ...[keys.length, tile.degree, header.indices.length, tile.blocks, tile.matches, plan.windowBits, plan.stride],
    );
  }
  expect(exports.traceLength.value).toBeGreaterThan(1000n);
  return `${exports.traceHash.value} ${exports.traceLength.value}`;
}

function load({ exports, bytes }: Traced, flag: Flag, { windowBits, stride }: TablePlan): void {
  bytes.fill(0, WIPED, TABLE);
  expect(writeFlag(bytes, flag)).toBe(true);
  exports['loadFlag']!(windowBits, stride);
}

/** Key sets that differ in what is secret only: random, of edge scalars, of subkeys that all match or all do not. */
function arbitrarySets(n: number, owner: DetectionKey): DetectionKey[][] {
  const of = (scalar: (i: number) => bigint) =>
    makeDetectionKey(firstIndices(n).map((index) => ({ index, subkey: encodeScalar(scalar(index)) })));
  const edges = [
    of((i) => (i === 0 ? 5n : 0n)),
    of((i) => (i === n - 1 ? 1n : GROUP_ORDER - 1n)),
    of((i) => 2n ** BigInt((i * i * 31) % 252)),
    owner,
  ].filter((key) => kernelPacking.classify(key).name === `subkeys/${n}`);
  const sets = edges.map((key) => new Array<DetectionKey>(KEYS).fill(key));
  while (sets.length < SETS) sets.push(Array.from({ length: KEYS }, () => randomDetectionKey(random, firstIndices(n))));
  return sets;
}

function linearSets(indices: readonly number[], threshold: number, owner: DetectionKey): DetectionKey[][] {
  const sets = [new Array<DetectionKey>(KEYS).fill(owner)];
  const derive = () => deriveDetectionKey(generateSecretKey({ random }, { threshold }), indices);
  while (sets.length < SETS) sets.push(Array.from({ length: KEYS }, derive));
  return sets;
}

describe('the trace of the kernel', () => {
  let traced: Traced;
  beforeAll(() => {
    traced = instantiate(kernelBytes());
  });

  it.each([4, 5, 6, 7, 8])('is the same for all arbitrary keys, with windows of %i bits', (windowBits) => {
    const n = 7;
    const secret = generateSecretKey({ random }, { threshold: n - 1 });
    const owner = deriveDetectionKey(secret, firstIndices(n));
    for (const flag of [createFlag({ random }, publicKeyOf(secret)), randomFlag(random)]) {
      const plan = { windowBits, stride: windowBits === 6 ? 3 : 1 };
      load(traced, flag, plan);
      const traces = new Set(arbitrarySets(n, owner).map((keys) => traceOf(traced, keys, plan)));
      expect(traces.size).toBe(1);
    }
  });

  it.each([
    [1, [0, 1, 2, 3]],
    [1, [2, 7, 8, 19]],
    [2, [0, 1, 2, 5]],
  ])('is the same for all linear keys of degree %i at the indices %j', (threshold, indices) => {
    const secret = generateSecretKey({ random }, { threshold });
    const plan = { windowBits: 5, stride: 2 };
    load(traced, createFlag({ random }, publicKeyOf(secret)), plan);
    const sets = linearSets(indices, threshold, deriveDetectionKey(secret, indices));
    expect(new Set(sets.map((keys) => traceOf(traced, keys, plan))).size).toBe(1);
  });

  it('differs where something public differs: the number of subkeys, or of keys', () => {
    const plan = { windowBits: 5, stride: 1 };
    load(traced, randomFlag(random), plan);
    const keys = Array.from({ length: KEYS }, () => randomDetectionKey(random, [0, 1]));
    const traces = [keys, keys.slice(1), [randomDetectionKey(random, [0])]].map((set) => traceOf(traced, set, plan));
    expect(new Set(traces).size).toBe(3);
  });
});

describe('the tracer', () => {
  let leaky: Traced;
  beforeAll(async () => {
    leaky = instantiate(await compileKernel('leaky'));
  });

  it('catches an early exit after the first subkeys that do not match', () => {
    const n = 7;
    const secret = generateSecretKey({ random }, { threshold: n - 1 });
    const owner = deriveDetectionKey(secret, firstIndices(n));
    const plan = { windowBits: 5, stride: 1 };
    load(leaky, createFlag({ random }, publicKeyOf(secret)), plan);
    const traces = arbitrarySets(n, owner).map((keys) => traceOf(leaky, keys, plan));
    expect(new Set(traces).size).toBeGreaterThan(1);
  });

  it.each(['Branch', 'Load', 'Store', 'Select', 'Division', 'Loop'])('catches a leak by a %s', (kind) => {
    const secret = TILE;
    const traces = [3, 4].map((value) => {
      leaky.bytes[secret] = value;
      resetTrace(leaky.exports);
      leaky.exports[`leakBy${kind}`]!(secret);
      return leaky.exports.traceHash.value;
    });
    expect(traces[0]).not.toBe(traces[1]);
  });
});
