// The detection keys of all registrations, in columns of shared memory: one row per key, rows of one class (same
// length, same code path) together in tiles. Workers read tiles in place; no key ever goes through a message.
// A removed key's row is overwritten at once.

import { fmdError } from './errors.ts';
import type { DetectionKey } from './keys.ts';
import { TILE_ROWS } from './limits.ts';

declare const slotBrand: unique symbol;

/** Names a key in the table. Never used again for another key, so a late result cannot be taken for a newer key's. */
export type KeySlot = number & { readonly [slotBrand]: true };

/** Rows of one class have the same length and are evaluated by the same code. */
export interface KeyClass {
  readonly name: string;
  readonly rowBytes: number;
  /** As `pack` for the key that was classified, where that did the work of both. */
  readonly pack?: (row: Uint8Array) => void;
}

/** How a detection kernel wants keys laid out. */
export interface KeyPacking {
  classify(key: DetectionKey): KeyClass;
  /** Writes the row of `key`; `row` has the class's rowBytes and is zero. */
  pack(key: DetectionKey, row: Uint8Array): void;
}

/** Up to TILE_ROWS keys of one class. */
export interface KeyTile {
  readonly className: string;
  readonly rowBytes: number;
  /** TILE_ROWS rows; free rows are zero. */
  readonly memory: SharedArrayBuffer;
}

/** Some keys of one tile, as of one moment. */
export interface TileSelection {
  readonly tile: KeyTile;
  /** Row numbers, ascending. */
  readonly rows: Uint16Array;
  /** The key in each of those rows. */
  readonly slots: readonly KeySlot[];
}

export interface KeyTable {
  /** Number of keys. */
  readonly size: number;
  /** Bytes of shared memory held. */
  readonly memoryBytes: number;
  /** Stores a copy of the key. */
  add(key: DetectionKey): KeySlot;
  /** Overwrites and frees the key's row; false if there is no such key (any more). */
  remove(slot: KeySlot): boolean;
  has(slot: KeySlot): boolean;
  /** All keys, or those of `slots` that are still there, by tile. */
  select(slots?: readonly KeySlot[]): TileSelection[];
  /** The row of a key, as a view into the table; undefined if it was removed. */
  row(slot: KeySlot): Uint8Array | undefined;
  /** Removes every key. */
  clear(): void;
}

/** Names no key: what stands for a free row, and in a unit of work for a key removed since the job began. */
export const NO_KEY: KeySlot = 0 as KeySlot;

interface Tile extends KeyTile {
  /** The key in each row, NO_KEY where it is free. */
  readonly occupants: KeySlot[];
  used: number;
}

export function createKeyTable(packing: KeyPacking): KeyTable {
  const classes = new Map<string, Tile[]>();
  const places = new Map<KeySlot, { tile: Tile; row: number }>();
  let lastSlot = 0;
  let memoryBytes = 0;

  function tileWithRoom({ name, rowBytes }: KeyClass): Tile {
    let tiles = classes.get(name);
    if (!tiles) {
      tiles = [];
      classes.set(name, tiles);
    }
    let tile = tiles.find(({ used }) => used < TILE_ROWS);
    if (!tile) {
      const memory = new SharedArrayBuffer(TILE_ROWS * rowBytes);
      memoryBytes += memory.byteLength;
      tile = { className: name, rowBytes, memory, occupants: new Array<KeySlot>(TILE_ROWS).fill(NO_KEY), used: 0 };
      tiles.push(tile);
    }
    if (tile.rowBytes !== rowBytes) throw fmdError('bad-parameter', `key class ${name} has rows of two lengths`);
    return tile;
  }

  const rowView = (tile: Tile, row: number): Uint8Array =>
    new Uint8Array(tile.memory, row * tile.rowBytes, tile.rowBytes);

  function remove(slot: KeySlot): boolean {
    const place = places.get(slot);
    if (!place) return false;
    const { tile, row } = place;
    rowView(tile, row).fill(0);
    tile.occupants[row] = NO_KEY;
    tile.used--;
    places.delete(slot);
    if (tile.used === 0) {
      const tiles = classes.get(tile.className)!;
      tiles.splice(tiles.indexOf(tile), 1);
      memoryBytes -= tile.memory.byteLength;
    }
    return true;
  }

  function selection(tile: Tile, rows: readonly number[]): TileSelection {
    return { tile, rows: Uint16Array.from(rows), slots: rows.map((row) => tile.occupants[row]!) };
  }

  return {
    get size() {
      return places.size;
    },
    get memoryBytes() {
      return memoryBytes;
    },
    add(key) {
      const keyClass = packing.classify(key);
      const tile = tileWithRoom(keyClass);
      const row = tile.occupants.indexOf(NO_KEY);
      if (keyClass.pack) keyClass.pack(rowView(tile, row));
      else packing.pack(key, rowView(tile, row));
      const slot = ++lastSlot as KeySlot;
      tile.occupants[row] = slot;
      tile.used++;
      places.set(slot, { tile, row });
      return slot;
    },
    remove,
    has: (slot) => places.has(slot),
    select(slots) {
      if (!slots) {
        return [...classes.values()].flat().map((tile) => {
          const rows = [...tile.occupants.keys()].filter((row) => tile.occupants[row] !== NO_KEY);
          return selection(tile, rows);
        });
      }
      const byTile = new Map<Tile, number[]>();
      for (const slot of slots) {
        const place = places.get(slot);
        if (!place) continue;
        const rows = byTile.get(place.tile);
        if (rows) rows.push(place.row);
        else byTile.set(place.tile, [place.row]);
      }
      return [...byTile].map(([tile, rows]) =>
        selection(
          tile,
          [...new Set(rows)].sort((a, b) => a - b),
        ),
      );
    },
    row(slot) {
      const place = places.get(slot);
      return place && rowView(place.tile, place.row);
    },
    clear() {
      for (const slot of [...places.keys()]) remove(slot);
    },
  };
}
