// The detection kernel under test: the module that was built, builds that export inner functions, and the kernel's
// memory seen as numbers, points and encodings.

import { readFileSync } from 'node:fs';
import { compileKernel } from '../../scripts/build-kernel.ts';
import { type EdwardsPoint, halve } from '../../src/fmd/batch-encode.ts';
import type { Flag } from '../../src/fmd/flag.ts';
import { GROUP_ORDER, type GroupPoint, modOrder } from '../../src/fmd/group.ts';
import { FIELD_PRIME, limbAddress, readField, writeConstants, writeField } from '../../src/fmd/kernel/constants.ts';
import { writeFlag } from '../../src/fmd/kernel/flag-input.ts';
import { BLOCK_BYTES, CANONICAL, FIELD_BYTES, POINT_BYTES, POINTS, TILE } from '../../src/fmd/kernel/layout.ts';
import type { TablePlan } from '../../src/fmd/kernel/table-plan.ts';

/** What the build made. */
export const kernelBytes = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL('../../src/fmd/kernel/kernel.wasm', import.meta.url)));

export const kernelModule = (): WebAssembly.Module => new WebAssembly.Module(kernelBytes());

/** Functions of assembly/probe.ts: addresses and small numbers in and out. */
export interface ProbeFunctions {
  multiply(r: number, a: number, b: number): void;
  multiplyDifferenceSum(r: number, a: number, b: number, x: number): void;
  square(r: number, a: number): void;
  add(r: number, a: number, b: number): void;
  differenceSum(r: number, s: number, a: number, b: number): void;
  subtractReduced(r: number, a: number, b: number): void;
  invert(r: number, a: number): void;
  powerForRoot(r: number, a: number): void;
  canonicalWords(out: number, a: number): void;
  oddLanes(a: number): number;
  zeroLanes(a: number): number;
  addEntry(p: number, q: number): void;
  setEntry(p: number, q: number): void;
  addCached(p: number, q: number): void;
  cache(q: number, p: number): void;
  double(p: number, withT: number): void;
  beginEncodings(): void;
  prepareEncoding(quad: number, p: number): void;
  invertProducts(): void;
  finishEncoding(quad: number): void;
  hashPrefix(words: number): void;
  hashSuffix(words: number): void;
  hashBits(out: number, words: number): void;
  loadFlag(windowBits: number, stride: number): number;
  multiplyBlocks(points: number, block: number, quads: number, windowBits: number, stride: number): void;
}

/** Memory for tests: behind the tile. */
export const SPACE: number = TILE + 0x80000;
const PAGES = (SPACE + 0x80000) / 65_536;

export const LANES = 4;
export const LIMBS = 20;

export interface Probe {
  readonly run: ProbeFunctions;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  limb(address: number, lane: number, k: number): number;
  setLimb(address: number, lane: number, k: number, value: number): void;
  /** The four values at an address. */
  values(address: number): bigint[];
  /** The largest limb in magnitude. */
  largest(address: number): number;
  /** Writes an affine point in projective form with this z. */
  setPoint(address: number, lane: number, point: EdwardsPoint, z?: bigint): void;
  /** Affine x, y and t of a point. */
  point(address: number, lane: number): { x: bigint; y: bigint; t: bigint };
  /** Loads a flag with a plan; throws if it is refused. */
  load(flag: Flag, plan: TablePlan): void;
  /** Encodings of scalar * u, for scalars below l, by table, in one batch of at most 512. */
  multiples(scalars: readonly bigint[], plan: TablePlan): Uint8Array[];
  /** Encodings of the doubles of the points of `quads` quads at POINTS. */
  encodings(quads: number): Uint8Array[];
}

export const modPrime = (value: bigint): bigint => ((value % FIELD_PRIME) + FIELD_PRIME) % FIELD_PRIME;

export function inversePrime(value: bigint): bigint {
  let result = 1n;
  let power = modPrime(value);
  for (let exponent = FIELD_PRIME - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = modPrime(result * power);
    power = modPrime(power * power);
  }
  return result;
}

/** A fresh instance of the kernel with its inner functions exported. */
export async function createProbe(): Promise<Probe> {
  const memory = new WebAssembly.Memory({ initial: PAGES });
  const module = new WebAssembly.Module(await compileKernel('probe'));
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ProbeFunctions;
  const bytes = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  writeConstants(view);

  const lanes = [0, 1, 2, 3] as const;
  const encoding = (lane: number): Uint8Array => {
    const out = new Uint8Array(32);
    for (let i = 0; i < 32; i++) out[i] = bytes[CANONICAL + 16 * (i >> 2) + 4 * lane + (i & 3)]!;
    return out;
  };
  const probe: Probe = {
    run,
    bytes,
    view,
    limb: (address, lane, k) => view.getInt16(limbAddress(address, lane, k), true),
    setLimb: (address, lane, k, value) => view.setInt16(limbAddress(address, lane, k), value, true),
    values: (address) => lanes.map((lane) => readField(view, address, lane)),
    largest(address) {
      let most = 0;
      for (let i = 0; i < FIELD_BYTES; i += 2) most = Math.max(most, Math.abs(view.getInt16(address + i, true)));
      return most;
    },
    setPoint(address, lane, point, z = 1n) {
      const { x, y } = point.toAffine();
      [y - x, y + x, 1n, x * y].forEach((value, i) => {
        writeField(view, address + i * FIELD_BYTES, lane, value * z);
      });
    },
    point(address, lane) {
      const [d, s, z, t] = [0, 1, 2, 3].map((i) => readField(view, address + i * FIELD_BYTES, lane));
      const inverse = inversePrime(z!);
      const half = inversePrime(2n) * inverse;
      return { x: modPrime((s! - d!) * half), y: modPrime((s! + d!) * half), t: modPrime(t! * inverse) };
    },
    load(flag, { windowBits, stride }) {
      if (!writeFlag(bytes, flag) || run.loadFlag(windowBits, stride) === 0) throw new Error('flag refused');
    },
    encodings(quads) {
      run.beginEncodings();
      for (let quad = 0; quad < quads; quad++) run.prepareEncoding(quad, POINTS + quad * POINT_BYTES);
      run.invertProducts();
      const encodings: Uint8Array[] = [];
      for (let quad = quads - 1; quad >= 0; quad--) {
        run.finishEncoding(quad);
        for (const lane of lanes) encodings[4 * quad + lane] = encoding(lane);
      }
      return encodings;
    },
    multiples(scalars, { windowBits, stride }) {
      scalars.forEach((scalar, i) => {
        const half = halve(modOrder(scalar));
        const k = (half & 1n) === 1n ? half : half + GROUP_ORDER;
        const at = TILE + Math.floor(i / 16) * BLOCK_BYTES + (i % 16);
        for (let byte = 0; byte < 32; byte++)
          bytes[at + 16 * byte] = Number((((k - 1n) / 2n) >> BigInt(8 * byte)) & 255n);
      });
      const quads = Math.ceil(scalars.length / 4);
      run.multiplyBlocks(POINTS, TILE, quads, windowBits, stride);
      return probe.encodings(quads).slice(0, scalars.length);
    },
  };
  return probe;
}

/** A flag whose u and basepoint are this point: enough for its table and multiples. */
export function flagOf(u: GroupPoint): Flag {
  return { gamma: 8, basepoint: u.toBytes(), u: u.toBytes(), y: new Uint8Array(32), bits: Uint8Array.of(0x5a) };
}
