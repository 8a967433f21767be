// The chain itself: blocks so far, transactions waiting, and the ways it can be made to misbehave as a whole.

import { sha256 } from '#crypto';
import { toHex } from '../core/bytes.ts';
import { type BlockPlan, buildBlock, type DevnetBlock } from './block.ts';
import { MEMPOOL_TRANSACTIONS_MAX, SUBMITTED_BYTES_MAX } from './limits.ts';
import type { Replay } from './replay.ts';

export type Submission =
  | { readonly kind: 'accepted'; readonly hash: string }
  | { readonly kind: 'refused'; readonly hash: string; readonly code: number; readonly log: string }
  | { readonly kind: 'known' };

export class DevnetChain {
  readonly #replay: Replay;
  #chainId: string;
  #blocks: DevnetBlock[] = [];
  /** Heights with MASP transactions. */
  #shielded: number[] = [];
  #generation = 0;
  /** Blocks at the end that are held back: the chain seems to have gone backwards. */
  #hidden = 0;
  #waiting: Uint8Array[] = [];
  /** By hash: the height and index of each submitted transaction, undefined while it waits. */
  readonly #submitted = new Map<string, { height: number; index: number } | undefined>();

  constructor(replay: Replay, chainId: string) {
    this.#replay = replay;
    this.#chainId = chainId;
  }

  get chainId(): string {
    return this.#chainId;
  }

  get first(): number {
    return this.#replay.first;
  }

  /** The highest block, `first - 1` before there is one. */
  get tip(): number {
    return this.first + this.#blocks.length - this.#hidden - 1;
  }

  block(height: number): DevnetBlock | undefined {
    return height <= this.tip ? this.#blocks[height - this.first] : undefined;
  }

  /** The highest block with MASP transactions; 0 if there is none. */
  get shieldedTip(): number {
    return this.#shielded.findLast((height) => height <= this.tip) ?? 0;
  }

  /** Makes the next `count` blocks. */
  advance(count = 1): void {
    this.#hidden = 0;
    for (let i = 0; i < count; i++) {
      const height = this.first + this.#blocks.length;
      const submitted = this.#waiting;
      this.#waiting = [];
      const plan: BlockPlan = {
        chainId: this.#chainId,
        height,
        parentHash: this.#blocks.at(-1)?.hash ?? new Uint8Array(32),
        generation: this.#generation,
        replay: this.#replay.transactions.get(height) ?? [],
        submitted,
      };
      const block = buildBlock(plan);
      this.#blocks.push(block);
      if (block.shielded.length > 0) this.#shielded.push(height);
      const before = block.transactions.length - submitted.length;
      for (const [j, transaction] of submitted.entries()) {
        this.#submitted.set(hashOf(transaction), { height, index: before + j });
      }
    }
  }

  /** Takes a transaction into the next block, as CometBFT's mempool does. */
  submit(transaction: Uint8Array): Submission {
    const hash = hashOf(transaction);
    if (this.#submitted.has(hash)) return { kind: 'known' };
    if (transaction.length === 0 || transaction.length > SUBMITTED_BYTES_MAX) {
      return { kind: 'refused', hash, code: 1, log: `expected 1 to ${SUBMITTED_BYTES_MAX} bytes` };
    }
    if (this.#waiting.length >= MEMPOOL_TRANSACTIONS_MAX)
      return { kind: 'refused', hash, code: 1, log: 'mempool is full' };
    this.#submitted.set(hash, undefined);
    this.#waiting.push(transaction);
    return { kind: 'accepted', hash };
  }

  /** Where a submitted transaction stands. */
  find(hash: string): { height: number; index: number } | undefined {
    return this.#submitted.get(hash);
  }

  /** Hides the last `count` blocks until the next one is made. */
  goBack(count: number): void {
    this.#hidden = Math.min(count, this.#blocks.length);
  }

  /** Starts again from the first height: the same replay, other hashes. */
  reset(): void {
    this.#blocks = [];
    this.#shielded = [];
    this.#hidden = 0;
    this.#generation += 1;
  }

  /** The next blocks, and the status, belong to another chain. */
  rename(chainId: string): void {
    this.#chainId = chainId;
  }
}

function hashOf(transaction: Uint8Array): string {
  return toHex(sha256(transaction)).toUpperCase();
}
