// The log of this boot: what users submit here, entered with the batch it is synced with and signed once for all of it.

import type { Ed25519Signer } from '../../core/crypto/door.ts';
import { idBytes, type NodeId, type OpId } from '../../core/ids.ts';
import {
  type AdmissionContext,
  type Admitted,
  ENTRY_OPERATIONS_MAX,
  encodeLogEntry,
  NO_ENTRY_HASH,
  type OperationBody,
  signLogEntry,
  type WriterId,
  writerIdOf,
} from '../../replication/index.ts';
import type { Batch } from '../registrations/batch-writer.ts';
import { putBounded } from '../registrations/bounded.ts';
import type { Origin } from '../registrations/record.ts';
import { RECENT_BODIES_MAX } from './limits.ts';
import type { LogBook } from './log-book.ts';

export interface OwnLogOptions {
  readonly clusterId: AdmissionContext['clusterId'];
  readonly nodeId: NodeId;
  /** Signs with the secret of the node. */
  readonly sign: Ed25519Signer;
  /** Of this boot, from 1. */
  readonly incarnation: number;
  /** A key that only this boot has, 32 bytes. */
  readonly bootKey: Uint8Array;
}

export interface OwnLog {
  readonly id: WriterId;
  /** Enters an operation that is merged with the same batch. */
  enter(batch: Batch, operation: Admitted): Origin;
  /** Signs what was entered and has the book write it: to be called once all works of a batch were applied. */
  complete(batch: Batch): Promise<void>;
  /** Of an operation entered lately, whether or not it still counts. */
  recentBody(opId: OpId): OperationBody | undefined;
  /** Calls back after entries were synced. Returns what ends that. */
  onAppended(listener: () => void): () => void;
}

export function createOwnLog(book: LogBook, options: OwnLogOptions): OwnLog {
  const { clusterId, nodeId, sign, incarnation, bootKey } = options;
  const id = writerIdOf({ nodeId, incarnation, bootKey });
  const listeners = new Set<() => void>();
  const recent = new Map<OpId, OperationBody>();
  let entered: Admitted[] = [];

  function signEntries(batch: Batch): boolean {
    const operations = entered;
    entered = [];
    for (let from = 0; from < operations.length; from += ENTRY_OPERATIONS_MAX) {
      const some = operations.slice(from, from + ENTRY_OPERATIONS_MAX);
      const before = book.inBatch(id);
      const entry = signLogEntry(sign, clusterId, {
        nodeId: idBytes(nodeId),
        incarnation,
        bootKey,
        seq: (before?.seq ?? 0) + 1,
        previous: before?.hash ?? NO_ENTRY_HASH,
        expiryHeight: Math.max(...some.map(({ operation }) => operation.expiryHeight)),
        operations: some.map(({ opId, operation }) => ({ opId: idBytes(opId), regId: idBytes(operation.regId) })),
      });
      book.append(batch, id, entry, encodeLogEntry(entry));
    }
    return operations.length > 0;
  }

  return {
    id,
    enter(batch, operation) {
      const place = entered.length;
      entered.push(operation);
      batch.onUndo(() => void entered.splice(place));
      const { opId, keys } = operation;
      const body = { operation: operation.operation, keys };
      batch.onSynced(() => putBounded(recent, opId, body, RECENT_BODIES_MAX));
      const before = book.get(id)?.seq ?? 0;
      return { writer: id, seq: before + 1 + Math.floor(place / ENTRY_OPERATIONS_MAX) };
    },
    async complete(batch) {
      const appended = signEntries(batch);
      await book.complete(batch);
      if (!appended) return;
      batch.onSynced(() => {
        for (const listener of [...listeners]) listener();
      });
    },
    recentBody: (opId) => recent.get(opId),
    onAppended(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
