// Per registration: index-set key, birthday, n and entries, in columns. A registration without matches costs about 120
// bytes here. Keys lie in blocks that never move, so that no copy is left behind when the table grows.

import { type Entry, EntryList } from './entries.ts';

const KEY_BYTES = 32;
const BLOCK_ROWS = 1_024;

export interface UserTable {
  readonly size: number;
  readonly expectedPerFlag: number;
  add(serial: number, user: { key: Uint8Array; birthday: number; n: number }): void;
  /** Overwrites the key. */
  remove(serial: number): boolean;
  birthday(serial: number): number | undefined;
  /** A view into the table: for immediate use. */
  key(serial: number): Uint8Array | undefined;
  /** Undefined if nothing matched yet. */
  entries(serial: number): EntryList | undefined;
  /** Entries of registrations that are gone, or below the birthday, are dropped. */
  addEntry(serial: number, entry: Entry): void;
}

export function createUserTable(): UserTable {
  const rowOf = new Map<number, number>();
  const free: number[] = [];
  const blocks: Uint8Array[] = [];
  const birthdays: number[] = [];
  const ns: number[] = [];
  const lists: (EntryList | undefined)[] = [];
  // Counted per n, so that the sum does not drift.
  const usersPerN: number[] = [];

  const keyAt = (row: number): Uint8Array => {
    const at = (row % BLOCK_ROWS) * KEY_BYTES;
    return blocks[Math.floor(row / BLOCK_ROWS)]!.subarray(at, at + KEY_BYTES);
  };

  return {
    get size() {
      return rowOf.size;
    },
    get expectedPerFlag() {
      return usersPerN.reduce((sum, count, n) => sum + count * 2 ** -n, 0);
    },
    add(serial, { key, birthday, n }) {
      const row = free.pop() ?? birthdays.length;
      if (row === blocks.length * BLOCK_ROWS) blocks.push(new Uint8Array(BLOCK_ROWS * KEY_BYTES));
      rowOf.set(serial, row);
      keyAt(row).set(key);
      birthdays[row] = birthday;
      ns[row] = n;
      lists[row] = undefined;
      usersPerN[n] = (usersPerN[n] ?? 0) + 1;
    },
    remove(serial) {
      const row = rowOf.get(serial);
      if (row === undefined) return false;
      keyAt(row).fill(0);
      lists[row] = undefined;
      usersPerN[ns[row]!]!--;
      rowOf.delete(serial);
      free.push(row);
      return true;
    },
    birthday(serial) {
      const row = rowOf.get(serial);
      return row === undefined ? undefined : birthdays[row];
    },
    key(serial) {
      const row = rowOf.get(serial);
      return row === undefined ? undefined : keyAt(row);
    },
    entries(serial) {
      const row = rowOf.get(serial);
      return row === undefined ? undefined : lists[row];
    },
    addEntry(serial, [height, index]) {
      const row = rowOf.get(serial);
      if (row === undefined || height < birthdays[row]!) return;
      lists[row] ??= new EntryList();
      lists[row].add(height, index);
    },
  };
}
