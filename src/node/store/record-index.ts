// What the node remembers of each record: its element of the multiset hash. So whatever is read from the disk later is
// checked against it, and a change needs no look at the old ciphertext. Columns, not objects: about 120 bytes a record.

import { NAMESPACE_TAG_BYTES } from './keys.ts';
import { SET_HASH_BYTES } from './set-hash.ts';

const ROWS_INITIAL = 1024;

/** Bytes as a string of as many characters: a map key of one byte a character. */
export const nameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** The bytes of a name. */
export function bytesOf(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}

export class RecordIndex {
  /** By namespace tag: disk key to row. */
  readonly #namespaces = new Map<string, Map<string, number>>();
  #elements = new Uint8Array(ROWS_INITIAL * SET_HASH_BYTES);
  readonly #freeRows: number[] = [];
  #rows = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The element of a disk key, as a view that the next change may overwrite. */
  get(name: string): Uint8Array | undefined {
    const row = this.#namespaces.get(name.slice(0, NAMESPACE_TAG_BYTES))?.get(name);
    return row === undefined ? undefined : this.#element(row);
  }

  set(name: string, element: Uint8Array): void {
    const tag = name.slice(0, NAMESPACE_TAG_BYTES);
    let rows = this.#namespaces.get(tag);
    if (!rows) {
      rows = new Map();
      this.#namespaces.set(tag, rows);
    }
    let row = rows.get(name);
    if (row === undefined) {
      row = this.#freeRows.pop() ?? this.#newRow();
      rows.set(name, row);
      this.#size++;
    }
    this.#element(row).set(element);
  }

  delete(name: string): void {
    const rows = this.#namespaces.get(name.slice(0, NAMESPACE_TAG_BYTES));
    const row = rows?.get(name);
    if (rows === undefined || row === undefined) return;
    rows.delete(name);
    this.#freeRows.push(row);
    this.#size--;
  }

  /** The disk keys of a namespace, a copy. */
  names(tag: Uint8Array): string[] {
    return [...(this.#namespaces.get(nameOf(tag))?.keys() ?? [])];
  }

  count(tag: Uint8Array): number {
    return this.#namespaces.get(nameOf(tag))?.size ?? 0;
  }

  #element(row: number): Uint8Array {
    return this.#elements.subarray(row * SET_HASH_BYTES, (row + 1) * SET_HASH_BYTES);
  }

  #newRow(): number {
    if ((this.#rows + 1) * SET_HASH_BYTES > this.#elements.length) {
      const grown = new Uint8Array(this.#elements.length * 2);
      grown.set(this.#elements);
      this.#elements = grown;
    }
    return this.#rows++;
  }
}
