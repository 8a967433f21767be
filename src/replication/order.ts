// The order of rank among operations on one registration, and what is kept of them in memory.

import { compareBytes } from '../core/bytes.ts';
import { idBytes, type OpId } from '../core/ids.ts';
import { type Operation, type OperationType, operationId } from '../core/registration/operation.ts';

/** An operation without what is needed to verify it: enough to merge. */
export interface OperationSummary {
  readonly type: OperationType;
  readonly opId: OpId;
  readonly version: number;
  readonly expiryHeight: number;
  /** Of a register only. */
  readonly birthday: number | undefined;
}

/** @param opId of the same operation, if it is known already. */
export function summarise(operation: Operation, opId: OpId = operationId(operation)): OperationSummary {
  const { type, version, expiryHeight } = operation;
  return { type, opId, version, expiryHeight, birthday: type === 'register' ? operation.birthday : undefined };
}

/**
 * Positive if `a` outranks `b`: higher version; at equal version a revoke; else greater expiry, smaller birthday (a
 * renewal has none and comes last), smaller operation id. A total order: zero for the same operation only.
 */
export function compareRank(a: OperationSummary, b: OperationSummary): number {
  if (a.version !== b.version) return a.version - b.version;
  const revokes = Number(a.type === 'revoke') - Number(b.type === 'revoke');
  if (revokes !== 0) return revokes;
  if (a.expiryHeight !== b.expiryHeight) return a.expiryHeight - b.expiryHeight;
  if (a.birthday !== b.birthday)
    return (b.birthday ?? Number.MAX_SAFE_INTEGER) - (a.birthday ?? Number.MAX_SAFE_INTEGER);
  return a.opId === b.opId ? 0 : compareBytes(idBytes(b.opId), idBytes(a.opId));
}

/** The one of higher rank. */
export function higher<T extends OperationSummary>(a: T | undefined, b: T | undefined): T | undefined {
  if (!a || !b) return a ?? b;
  return compareRank(a, b) >= 0 ? a : b;
}
