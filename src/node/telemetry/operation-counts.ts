// How many operations were taken and refused, and why. Reasons are those the API has words for: whatever else comes is
// counted as `other`, so that the table stays small.

import type { OperationType } from '../../core/registration/operation.ts';
import { PROBLEMS } from '../http/problems.ts';

export interface OperationCounts {
  readonly accepted: readonly { readonly kind: OperationType; readonly count: number }[];
  /** Combinations that occurred. */
  readonly refused: readonly { readonly kind: OperationType; readonly reason: string; readonly count: number }[];
}

export interface OperationCounter {
  accepted(kind: OperationType): void;
  /** @param reason of the refusal, or the code of the error. */
  refused(kind: OperationType, reason: string): void;
  read(): OperationCounts;
}

const KINDS: readonly OperationType[] = ['register', 'renew', 'revoke'];

/** Counters that begin at zero. */
export function createOperationCounter(): OperationCounter {
  const accepted: Record<OperationType, number> = { register: 0, renew: 0, revoke: 0 };
  const refused: Record<OperationType, Map<string, number>> = {
    register: new Map(),
    renew: new Map(),
    revoke: new Map(),
  };
  return {
    accepted(kind) {
      accepted[kind] += 1;
    },
    refused(kind, reason) {
      const known = Object.hasOwn(PROBLEMS, reason) ? reason : 'other';
      refused[kind].set(known, (refused[kind].get(known) ?? 0) + 1);
    },
    read: () => ({
      accepted: KINDS.map((kind) => ({ kind, count: accepted[kind] })),
      refused: KINDS.flatMap((kind) => [...refused[kind]].map(([reason, count]) => ({ kind, reason, count }))),
    }),
  };
}
