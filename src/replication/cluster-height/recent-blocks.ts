// The blocks a node states: those at the last multiples of the step, as they are indexed.

import { BLOCK_STEP, BLOCKS_STATED } from './limits.ts';
import type { StatedBlock } from './statement.ts';

export interface RecentBlocks {
  /** Descending. */
  readonly blocks: readonly StatedBlock[];
  /** Each block that is indexed, in ascending order; a hash is undefined where the chain source knows none. */
  note(height: number, hash: Uint8Array | undefined): void;
}

export function createRecentBlocks(): RecentBlocks {
  let blocks: readonly StatedBlock[] = [];
  return {
    get blocks() {
      return blocks;
    },
    note(height, hash) {
      if (hash?.length !== 32 || height % BLOCK_STEP !== 0) return;
      const below = blocks.filter((block) => block.height < height);
      blocks = [{ height, hash: Uint8Array.from(hash) }, ...below].slice(0, BLOCKS_STATED);
    },
  };
}
