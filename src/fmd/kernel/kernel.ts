// The detection kernel: one WebAssembly instance with its own memory, keys loaded into it, flags tested one by one.
// It holds keys until `wipe`. What is secret never decides a branch or an address (assembly/index.ts).

import { fmdError } from '../errors.ts';
import type { Flag } from '../flag.ts';
import { writeConstants } from './constants.ts';
import { writeFlag } from './flag-input.ts';
import { LINEAR_INDICES, TABLE, TILE, WIPED } from './layout.ts';
import { choosePlan, type TablePlan } from './table-plan.ts';
import { fillTile, headerOf, type KeyRows, planTile, type Tile } from './tile.ts';

export type { KeyRows } from './tile.ts';

export interface Kernel {
  /** Keys loaded, free rows included: the number of match bits. */
  readonly keys: number;
  /** Bytes of memory in use, keys included. */
  readonly memoryBytes: number;
  /**
   * Replaces the keys: groups of rows, each of one class of `kernelPacking`. All groups share the work that depends on
   * the flag alone, so load as many as there are. @throws KithError `bad-parameter` for more than TILE_BYTES_MAX.
   */
  load(groups: readonly KeyRows[]): void;
  /**
   * Tests a flag against every key. `matches` receives ceil(keys / 8) bytes: bit k for the k-th row in the order of
   * loading. False, and nothing received, if the flag is not canonical.
   */
  detect(flag: Flag, matches: Uint8Array): boolean;
  /** Overwrites keys and everything computed from them. */
  wipe(): void;
}

interface Exports {
  loadFlag(windowBits: number, stride: number): number;
  detectSubkeys(
    keys: number,
    subkeys: number,
    counts: number,
    indices: number,
    blocks: number,
    matches: number,
    windowBits: number,
    stride: number,
  ): void;
  detectLinear(
    keys: number,
    degree: number,
    count: number,
    blocks: number,
    matches: number,
    windowBits: number,
    stride: number,
  ): void;
}

/** What a job may load: a tile of 1,024 keys of 20 subkeys is 0.7 MB, so this is dozens of them. */
export const TILE_BYTES_MAX: number = 32 * 2 ** 20;

const PAGE_BYTES = 65_536;

export interface KernelOptions {
  /** The table to build for every flag, instead of the cheapest for the keys loaded. */
  readonly plan?: TablePlan;
  /** Of `createKernelMemory`, for whoever must look into it; it will hold keys. */
  readonly memory?: WebAssembly.Memory;
}

export const createKernelMemory = (): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: TILE / PAGE_BYTES, maximum: (TILE + TILE_BYTES_MAX) / PAGE_BYTES });

/** Makes a kernel of the compiled module, with no keys. */
export function createKernel(module: WebAssembly.Module, options: KernelOptions = {}): Kernel {
  const memory = options.memory ?? createKernelMemory();
  const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  writeConstants(new DataView(memory.buffer));
  let tiles: Tile[] = [];
  let keys = 0;
  let plan: TablePlan = options.plan ?? choosePlan(0);

  function reserve(end: number): void {
    if (end - TILE > TILE_BYTES_MAX) {
      throw fmdError('bad-parameter', `keys of ${end - TILE} bytes; a kernel takes ${TILE_BYTES_MAX}`);
    }
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) memory.grow(missing);
  }

  function wipe(): void {
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0, WIPED, TABLE);
    bytes.fill(0, TILE);
    tiles = [];
    keys = 0;
  }

  function run(bytes: Uint8Array, tile: Tile, { windowBits, stride }: TablePlan): void {
    const { degree, indices, blocks, matches, counts, subkeyIndices } = tile;
    if (degree === undefined) {
      const subkeys = tile.keys * indices.length;
      kernel.detectSubkeys(tile.keys, subkeys, counts, subkeyIndices, blocks, matches, windowBits, stride);
    } else {
      bytes.set(indices, LINEAR_INDICES);
      kernel.detectLinear(tile.keys, degree, indices.length, blocks, matches, windowBits, stride);
    }
  }

  return {
    get keys() {
      return keys;
    },
    get memoryBytes() {
      return memory.buffer.byteLength;
    },
    load(groups) {
      wipe();
      let start = TILE;
      const planned = groups.map((group) => {
        const header = headerOf(group);
        const tile = header && planTile(header, group.rows.length, start);
        start = tile?.end ?? start;
        return { group, header, tile };
      });
      reserve(start);
      const bytes = new Uint8Array(memory.buffer);
      tiles = planned.map(({ group, header, tile }) => {
        if (!header || !tile) return emptyTile(group.rows.length);
        fillTile(bytes, tile, header, group);
        return tile;
      });
      keys = tiles.reduce((sum, tile) => sum + tile.keys, 0);
      plan = options.plan ?? choosePlan(tiles.reduce((sum, tile) => sum + tile.scalars / 4, 0));
    },
    detect(flag, matches) {
      const bytes = new Uint8Array(memory.buffer);
      if (!writeFlag(bytes, flag) || kernel.loadFlag(plan.windowBits, plan.stride) === 0) return false;
      matches.fill(0, 0, Math.ceil(keys / 8));
      let bit = 0;
      for (const tile of tiles) {
        if (tile.scalars > 0) run(bytes, tile, plan);
        for (let key = 0; key < tile.keys; key++, bit++) {
          const match = tile.live[key]! & (tile.scalars > 0 ? bytes[tile.matches + key]! : 0);
          matches[bit >> 3] = matches[bit >> 3]! | (match << (bit & 7));
        }
      }
      return true;
    },
    wipe,
  };
}

/** Rows none of which is in use. */
function emptyTile(keys: number): Tile {
  const none = { degree: undefined, indices: new Uint8Array(0), scalars: 0, counts: 0, subkeyIndices: 0 };
  return { ...none, keys, live: new Uint8Array(keys), blocks: 0, matches: 0, end: 0 };
}
