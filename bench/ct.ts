// `npm run bench:ct [-- --samples=N]`: does the kernel's time depend on keys? After dudect ("dude, is my code constant
// time?", Reparaz, Balasch, Verbauwhede, 2017): keys of a fixed class and of random ones in random order, Welch's t-test
// on their times, once over all samples and once for each of several crops that drop the slowest. A kernel that stops
// early must be caught by the same test, or the test proves nothing. Exit code 1: a leak, or the control went unnoticed.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { compileKernel } from '../scripts/build-kernel.ts';
import { systemRandom } from '../src/core/system.ts';
import { createFlag } from '../src/fmd/create-flag.ts';
import type { Flag } from '../src/fmd/flag.ts';
import { encodeScalar } from '../src/fmd/group.ts';
import { writeConstants } from '../src/fmd/kernel/constants.ts';
import { writeFlag } from '../src/fmd/kernel/flag-input.ts';
import { kernelPacking } from '../src/fmd/kernel/key-rows.ts';
import { LINEAR_INDICES, TILE } from '../src/fmd/kernel/layout.ts';
import { fillTile, headerOf, planTile, type Tile } from '../src/fmd/kernel/tile.ts';
import {
  type CompactSecretKey,
  type DetectionKey,
  deriveDetectionKey,
  firstIndices,
  generateSecretKey,
  makeDetectionKey,
  publicKeyOf,
} from '../src/fmd/keys.ts';
import { randomDetectionKey } from '../test/support/fmd.ts';

/** |t| above this is a leak; 4.5 is where a single test of a quiet machine would begin to doubt. */
const LEAK_T = 10;
/** Shares of the samples kept, the fastest first. */
const CROPS = [1, 0.999, 0.99, 0.95, 0.9, 0.8, 0.6, 0.4];
/** Tile images of each class that are gone round, so that neither class is warmer in the caches than the other. */
const IMAGES = 64;
const SUBKEYS = 8;

type Detect = (...numbers: number[]) => void;

interface Subject {
  readonly name: string;
  readonly module: WebAssembly.Module;
  readonly flag: Flag;
  readonly windowBits: number;
  /** The fixed class; every sample has the same secrets. */
  readonly fixed: DetectionKey;
  readonly random: () => DetectionKey;
  readonly leaks: boolean;
}

const now = (): number => Number(process.hrtime.bigint());

interface Running {
  detect(): void;
  place(image: Uint8Array): void;
  imageOf(key: DetectionKey): Uint8Array;
}

/** An instance with the flag loaded, ready to time what depends on keys and nothing else. */
function start({ module, flag, windowBits, fixed }: Subject): Running {
  const memory = new WebAssembly.Memory({ initial: TILE / 65_536 + 1 });
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Record<string, Detect>;
  const bytes = new Uint8Array(memory.buffer);
  writeConstants(new DataView(memory.buffer));
  writeFlag(bytes, flag);
  exports['loadFlag']!(windowBits, 1);
  // All keys of a subject are laid out alike.
  const tile = layOut(bytes, fixed);
  return {
    detect: () => run(exports, tile, windowBits),
    place: (image) => bytes.set(image, TILE),
    imageOf(key) {
      layOut(bytes, key);
      return bytes.slice(TILE, tile.end);
    },
  };
}

function layOut(bytes: Uint8Array, key: DetectionKey): Tile {
  const { rowBytes } = kernelPacking.classify(key);
  const row = new Uint8Array(rowBytes);
  kernelPacking.pack(key, row);
  const rows = { bytes: row, rowBytes, rows: [0] };
  const header = headerOf(rows)!;
  const tile = planTile(header, 1, TILE);
  fillTile(bytes, tile, header, rows);
  if (tile.degree !== undefined) bytes.set(tile.indices, LINEAR_INDICES);
  return tile;
}

function run(exports: Record<string, Detect>, tile: Tile, windowBits: number): void {
  const { degree, indices, counts, subkeyIndices, blocks, matches } = tile;
  if (degree === undefined) {
    exports['detectSubkeys']!(1, indices.length, counts, subkeyIndices, blocks, matches, windowBits, 1);
  } else exports['detectLinear']!(1, degree, indices.length, blocks, matches, windowBits, 1);
}

/** Times of both classes, in random order. */
function sample(subject: Subject, samples: number): { fixed: number[]; random: number[] } {
  const kernel = start(subject);
  const images = [
    Array.from({ length: IMAGES }, () => kernel.imageOf(subject.fixed)),
    Array.from({ length: IMAGES }, () => kernel.imageOf(subject.random())),
  ] as const;
  const times: [number[], number[]] = [[], []];
  const order = systemRandom.bytes(samples);
  const warmUp = Math.min(2000, samples >> 2);
  for (let i = -warmUp; i < samples; i++) {
    const choice = order[i < 0 ? i + samples : i]!;
    const kind = (choice & 1) as 0 | 1;
    kernel.place(images[kind][(choice >> 1) % IMAGES]!);
    const started = now();
    kernel.detect();
    const took = now() - started;
    if (i >= 0) times[kind].push(took);
  }
  return { fixed: times[0], random: times[1] };
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}

/** Welch's t. */
function welch(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [moments(a), moments(b)];
  return (x.mean - y.mean) / Math.sqrt(x.variance / a.length + y.variance / b.length);
}

/** The largest |t| over all crops. */
function worst({ fixed, random }: { fixed: number[]; random: number[] }): { t: number; crop: number } {
  const all = [...fixed, ...random].sort((a, b) => a - b);
  const results = CROPS.map((crop) => {
    const limit = all[Math.ceil(all.length * crop) - 1]!;
    return {
      crop,
      t: welch(
        fixed.filter((time) => time <= limit),
        random.filter((time) => time <= limit),
      ),
    };
  });
  return results.reduce((most, result) => (Math.abs(result.t) > Math.abs(most.t) ? result : most));
}

async function subjects(): Promise<Subject[]> {
  const bytes = readFileSync(new URL('../src/fmd/kernel/kernel.wasm', import.meta.url));
  const module = new WebAssembly.Module(new Uint8Array(bytes));
  const leaky = new WebAssembly.Module(await compileKernel('leaky'));
  const random = systemRandom;
  const flagFor = (secret: CompactSecretKey): Flag => createFlag({ random }, publicKeyOf(secret));
  const indices = firstIndices(SUBKEYS);
  const wide = generateSecretKey({ random }, { threshold: SUBKEYS - 1 });
  const owner = deriveDetectionKey(wide, indices);
  const small = makeDetectionKey(
    indices.map((index) => ({ index, subkey: encodeScalar([0n, 1n, 2n, 5n, 1n, 0n, 3n, 9n][index]!) })),
  );
  const narrow = generateSecretKey({ random });
  const arbitrary = { module, flag: flagFor(wide), random: () => randomDetectionKey(random, indices), leaks: false };
  const linear = {
    module,
    flag: flagFor(narrow),
    random: () => deriveDetectionKey(generateSecretKey({ random }), indices),
    leaks: false,
  };
  return [
    ...[5, 6, 7, 8].map((windowBits) => ({
      ...arbitrary,
      name: `arbitrary, a matching key, windows of ${windowBits} bits`,
      windowBits,
      fixed: owner,
    })),
    { ...arbitrary, name: 'arbitrary, tiny scalars', windowBits: 7, fixed: small },
    { ...linear, name: 'linear, a matching key', windowBits: 7, fixed: deriveDetectionKey(narrow, indices) },
    { ...arbitrary, module: leaky, name: 'control: stops at a mismatch', windowBits: 6, fixed: owner, leaks: true },
  ];
}

const asked = process.argv.find((word) => word.startsWith('--samples='))?.slice('--samples='.length);
const samples = Number(asked ?? 20_000);
if (!Number.isInteger(samples) || samples < 100) {
  console.error('--samples: a whole number from 100 on');
  process.exit(2);
}
let failed = false;
const report = (await subjects()).map((subject) => {
  const times = sample(subject, samples);
  const { t, crop } = worst(times);
  const verdict = Math.abs(t) > LEAK_T ? 'leaks' : 'no leak seen';
  if ((verdict === 'leaks') !== subject.leaks) failed = true;
  return { subject: subject.name, samples, 'largest |t|': Math.abs(t).toFixed(2), 'of samples': crop, verdict };
});
console.table(report);
console.log(failed ? 'FAILED: a leak, or a control that was not caught' : 'as it should be');
process.exitCode = failed ? 1 : 0;
