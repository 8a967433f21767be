// What the users of a run know: the operations they signed, and which of them the cluster has confirmed to them. What
// must be true of every node follows from this alone; no code of the product ranks operations here.

import type { RegId } from '../../../src/core/ids.ts';
import type { Operation } from '../../../src/core/registration/operation.ts';
import { operationId } from '../../../src/core/registration/operation.ts';

export interface Signed {
  readonly user: number;
  readonly operation: Operation;
  readonly opId: string;
  /** A quorum has said that it has it. */
  acknowledged: boolean;
  /** Members whose receipts the user was shown. */
  readonly givers: Set<string>;
}

/**
 * Positive if `a` counts for more: docs/REGISTRATIONS.md, written down a second time. A higher version; a revoke among
 * equals; then the greater expiry, the smaller birthday (a renewal has none), the smaller id.
 */
export function rank(a: Signed, b: Signed): number {
  const [x, y] = [a.operation, b.operation];
  if (x.version !== y.version) return x.version - y.version;
  if ((x.type === 'revoke') !== (y.type === 'revoke')) return x.type === 'revoke' ? 1 : -1;
  if (x.expiryHeight !== y.expiryHeight) return x.expiryHeight - y.expiryHeight;
  const birthdays = [x, y].map((op) => (op.type === 'register' ? op.birthday : Number.POSITIVE_INFINITY));
  if (birthdays[0] !== birthdays[1]) return birthdays[1]! - birthdays[0]!;
  return Buffer.compare(Buffer.from(b.opId, 'base64url'), Buffer.from(a.opId, 'base64url'));
}

/** What a node may say of a registration. */
export type Meaning =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked' }
  | { readonly kind: 'open'; readonly expiryHeight: number };

export interface Oracle {
  /** Before it is sent anywhere. */
  sign(user: number, operation: Operation): Signed;
  acknowledge(signed: Signed): void;
  signedBy(user: number): readonly Signed[];
  readonly acknowledged: readonly Signed[];
  /** Whether everything that any part of what was signed can add up to, the confirmed part included, is `told`. */
  isPossible(user: number, told: Meaning): boolean;
  idOf(user: number): RegId | undefined;
}

export function createOracle(): Oracle {
  const all: Signed[][] = [];
  const acknowledged: Signed[] = [];

  const of = (user: number): Signed[] => {
    all[user] ??= [];
    return all[user];
  };

  /** What a set of operations means: revokes close what does not outrank them, renewals move the expiry of what is open. */
  function meaningOf(set: readonly Signed[]): Meaning {
    const sorted = [...set].sort((a, b) => rank(b, a));
    const base = sorted.find(({ operation }) => operation.type !== 'renew');
    if (!base) return { kind: 'unknown' };
    if (base.operation.type === 'revoke') return { kind: 'revoked' };
    return { kind: 'open', expiryHeight: sorted[0]!.operation.expiryHeight };
  }

  return {
    sign(user, operation) {
      const opId = operationId(operation);
      const known = of(user).find((other) => other.opId === opId);
      if (known) return known;
      const signed: Signed = { user, operation, opId, acknowledged: false, givers: new Set() };
      of(user).push(signed);
      return signed;
    },
    acknowledge(signed) {
      if (signed.acknowledged) return;
      signed.acknowledged = true;
      acknowledged.push(signed);
    },
    signedBy: of,
    acknowledged,
    isPossible(user, told) {
      const sure = of(user).filter((signed) => signed.acknowledged);
      const open = of(user).filter((signed) => !signed.acknowledged);
      // What counts of the unsure ones is one base and one renewal at most.
      const choices: (readonly Signed[])[] = [[]];
      for (const one of open) {
        choices.push([one]);
        for (const other of open) if (other !== one) choices.push([one, other]);
      }
      return choices.some((extra) => same(meaningOf([...sure, ...extra]), told));
    },
    idOf: (user) => of(user)[0]?.operation.regId,
  };
}

const same = (a: Meaning, b: Meaning): boolean =>
  a.kind === b.kind && (a.kind !== 'open' || b.kind !== 'open' || a.expiryHeight === b.expiryHeight);
