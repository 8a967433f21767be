// What the indexer needs from outside, and the blocks it hands on.

/** One MASP transaction. */
export interface ChainTransaction {
  readonly blockIndex: number;
  /** 111 bytes each; undefined: none, or not all of them decodable. Such a transaction is everybody's. */
  readonly flags: readonly Uint8Array[] | undefined;
}

/** A plain text transaction that starts with the prefix looked for. */
export interface ChainText {
  readonly blockIndex: number;
  readonly text: string;
}

export interface ChainBlock {
  readonly height: number;
  /** Of the header; undefined when the source knows none. */
  readonly hash: Uint8Array | undefined;
  /** RFC 3339, as the header has it. */
  readonly time: string | undefined;
  /** By ascending block index, each once. */
  readonly transactions: readonly ChainTransaction[];
  readonly texts: readonly ChainText[];
}

/** A block as a source delivers it. */
export interface SourceBlock extends ChainBlock {
  readonly parentHash: Uint8Array | undefined;
  readonly chainId: string | undefined;
  /** Block indexes of transactions whose flags could not be read. */
  readonly undecodable: readonly number[];
}

export interface SourceStatus {
  /** Undefined when the source does not know it. */
  readonly chainId: string | undefined;
  /** The lowest height it still has. */
  readonly earliest: number;
  readonly latest: number;
  /** Hash of the block at `latest`. */
  readonly latestHash: Uint8Array | undefined;
}

/** One upstream, whatever protocol it speaks. Hostile until what it says is checked. */
export interface ChainSource {
  /** For errors and logs. */
  readonly name: string;
  /** Whether its blocks carry flags and hashes. */
  readonly flags: boolean;
  /** Heights one call of `blocks` may span. */
  readonly rangeMax: number;
  /** @throws KithError `upstream-unreachable`, `bad-answer`, `upstream-refused`, `answer-too-large`. */
  status(options: { signal: AbortSignal }): Promise<SourceStatus>;
  /**
   * Where to begin, for a source whose `earliest` is far below anything of interest; it may take many requests.
   * @throws KithError as `status`.
   */
  firstTransaction?(options: { signal: AbortSignal }): Promise<number>;
  /**
   * Each height from `from` to `to` once, in order; blocks without MASP transactions are there too, and empty.
   * @throws KithError as `status`, and `height-unavailable`.
   */
  blocks(from: number, to: number, options: { signal: AbortSignal }): Promise<SourceBlock[]>;
}

export type StoreOp =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Uint8Array };

/** Keys and values on a disk that belongs to the host. */
export interface Store {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** The entries with from <= key < to, by key. */
  range(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /**
   * All of it or nothing, and on the disk once it resolves.
   * @throws KithError `store-full`, `store-unavailable`: nothing was written, and may be tried again.
   */
  batch(ops: readonly StoreOp[]): Promise<void>;
}

/** From the first to the last of them. */
export interface HeightRange {
  readonly from: number;
  readonly to: number;
}

/** What is worth a line in the log; each is told once where it happens. */
export type IndexerEvent =
  | { readonly kind: 'undecodable-flags'; readonly height: number; readonly blockIndex: number }
  | { readonly kind: 'upstream-failed'; readonly upstream: string; readonly error: Error }
  | { readonly kind: 'upstream-recovered'; readonly upstream: string }
  /** No upstream has these heights any more: the index stands until one is configured that has. */
  | { readonly kind: 'heights-missing'; readonly from: number; readonly to: number }
  /** It contradicted itself and is not asked again. */
  | { readonly kind: 'upstream-dropped'; readonly upstream: string; readonly error: Error }
  /** The disk takes no rows: they are written again and again until it does. */
  | { readonly kind: 'write-failed'; readonly error: Error }
  | { readonly kind: 'write-recovered' }
  | { readonly kind: 'stopped'; readonly error: Error };
