// The state of one registration as a pure function of the set of its operations, in a bounded form. States are a
// semilattice: `join` is commutative, associative and idempotent, so replicas that saw the same operations, in
// whatever order and grouping, agree. Keys are no part of it: they are determined by the registration's id.

import { LIFETIME_BLOCKS } from '../core/registration/limits.ts';
import { compareRank, higher, type OperationSummary } from './order.ts';

/**
 * What remains of any number of operations.
 * `base`: the highest register or the highest revoke, whichever has the higher version; at equal version the revoke.
 * `renewal`: the highest renew, if it outranks the base (else it can never have an effect again).
 */
export interface RegistrationState {
  readonly base: OperationSummary | undefined;
  readonly renewal: OperationSummary | undefined;
}

export const NO_OPERATIONS: RegistrationState = { base: undefined, renewal: undefined };

/** The state after one operation. */
export const stateOf = (operation: OperationSummary): RegistrationState =>
  operation.type === 'renew' ? { base: undefined, renewal: operation } : { base: operation, renewal: undefined };

/** The state after the operations of both. */
export function join(a: RegistrationState, b: RegistrationState): RegistrationState {
  const base = higher(a.base, b.base);
  const renewal = higher(a.renewal, b.renewal);
  return { base, renewal: base && renewal && compareRank(base, renewal) > 0 ? undefined : renewal };
}

/** The state without operations of versions below `versionFloor`. Commutes with `join`. */
export function forgetBelow(state: RegistrationState, versionFloor: number): RegistrationState {
  const kept = (operation: OperationSummary | undefined) =>
    operation && operation.version >= versionFloor ? operation : undefined;
  return { base: kept(state.base), renewal: kept(state.renewal) };
}

export const operationsOf = ({ base, renewal }: RegistrationState): OperationSummary[] =>
  [base, renewal].filter((operation) => operation !== undefined);

/** What a state means, at whatever height. */
export type Meaning =
  /** Nothing, or renewals of a register that is not known (yet). */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'revoked'; readonly version: number }
  /** Open up to and including `expiryHeight`. */
  | { readonly kind: 'open'; readonly version: number; readonly birthday: number; readonly expiryHeight: number };

/**
 * A revoke closes; only a register of a higher version opens again, never a renewal. A renewal sets the expiry of an
 * open registration, later or earlier, up to one lifetime after the register: then the register is forgotten.
 */
export function meaningOf({ base, renewal }: RegistrationState): Meaning {
  if (!base) return { kind: 'unknown' };
  const { version, birthday } = base;
  if (base.type === 'revoke' || birthday === undefined) return { kind: 'revoked', version };
  const expiryHeight = renewal ? Math.min(renewal.expiryHeight, version + LIFETIME_BLOCKS) : base.expiryHeight;
  return { kind: 'open', version, birthday, expiryHeight };
}
