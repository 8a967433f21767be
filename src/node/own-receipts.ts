// This node's own receipts for what its users send: one signature for all operations that one sync made durable.

import type { OpId } from '../core/ids.ts';
import { type BatchReceipt, RECEIPT_OPERATIONS_MAX, type Receipt, receiptsOf } from '../core/receipt.ts';

export interface OwnReceipts {
  /** The receipt for a synced operation; undefined while this node may give none. */
  of(opId: OpId): Promise<Receipt | undefined>;
}

interface Asked {
  readonly opId: OpId;
  give(receipt: Receipt | undefined): void;
  fail(error: unknown): void;
}

/** @param sign as `Replica.receipt`: for operations that are synced, at the state of the store of the moment. */
export function createOwnReceipts(sign: (opIds: readonly OpId[]) => BatchReceipt | undefined): OwnReceipts {
  let asked: Asked[] = [];

  function answer(): void {
    const all = asked;
    asked = [];
    for (let from = 0; from < all.length; from += RECEIPT_OPERATIONS_MAX) {
      const batch = all.slice(from, from + RECEIPT_OPERATIONS_MAX);
      try {
        const opIds = batch.map(({ opId }) => opId);
        const receipt = sign(opIds);
        const receiptAt = receipt && receiptsOf(receipt, opIds);
        for (const [index, { give }] of batch.entries()) give(receiptAt?.(index));
      } catch (error) {
        for (const { fail } of batch) fail(error);
      }
    }
  }

  return {
    of: (opId) =>
      new Promise((give, fail) => {
        asked.push({ opId, give, fail });
        // The others of the same sync are told of it by jobs that are queued already; two turns let them come first.
        if (asked.length === 1) void Promise.resolve().then(() => Promise.resolve().then(answer));
      }),
  };
}
