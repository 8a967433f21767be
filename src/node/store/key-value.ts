// The plain key-value port under the sealed store, and under the public rows of the indexer. What stands behind it
// belongs to the host: it may lose, alter or invent anything.

export type KeyValueOp =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Uint8Array };

/** Ordered by key, bytewise. Nobody keeps a reference to the other's bytes. */
export interface KeyValueStore {
  /** @throws KithError `store-corrupt` if the disk cannot be read. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** The entries with from <= key < to by key, as they were when the iteration began; without `to`, to the end. */
  range(from: Uint8Array, to?: Uint8Array): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /**
   * All of it, in its order, or nothing; on the disk once it resolves unless `sync` is false (then a crash keeps a
   * prefix of the batches).
   * @throws KithError `store-full` when it could not be written. Reads then show the state before it; a crash may still
   * bring it to light, unless a later batch overwrote its keys.
   */
  batch(ops: readonly KeyValueOp[], options?: { readonly sync?: boolean }): Promise<void>;
  /** Waits for what is under way. Idempotent; afterwards everything throws `store-closed`. */
  close(): Promise<void>;
}
