// All registrations a node knows, in memory: one row each, in columns. It decides what an operation and the passing
// of heights change, and tells its owner what to write and what to destroy; it holds no keys and does no I/O.
// One owner calls it from one loop: apply, write, and `restore` if the write failed.

import type { OpId, RegId } from '../core/ids.ts';
import { LIFETIME_BLOCKS } from '../core/registration/limits.ts';
import { type Heights, mayServe, mustWipe, versionFloorAt } from './heights.ts';
import {
  forgetBelow,
  join,
  type Meaning,
  meaningOf,
  NO_OPERATIONS,
  operationsOf,
  type RegistrationState,
  stateOf,
} from './merge.ts';
import type { OperationSummary } from './order.ts';
import { createStateColumns } from './state-columns.ts';

/** What became of one registration. */
export interface Change {
  readonly regId: RegId;
  readonly before: RegistrationState;
  readonly after: RegistrationState;
  readonly keysBefore: boolean;
  readonly keysAfter: boolean;
  /** Operations no longer needed. `after` names those that are. */
  readonly dropped: readonly OpId[];
}

/** Where a registration stands at some heights, for answers to users. */
export type Standing =
  | { readonly kind: 'unknown' }
  /** Up to `expiryHeight` the revoke is remembered. */
  | { readonly kind: 'revoked'; readonly expiryHeight: number }
  | { readonly kind: 'open' | 'expired'; readonly birthday: number; readonly expiryHeight: number };

export interface Registry {
  /** Registrations with any operation, live or not. */
  readonly size: number;
  /** Operations below it are refused for ever. Belongs into the store, with the batch of the sweep that raised it. */
  readonly versionFloor: number;
  readonly regIds: Iterable<RegId>;
  state(regId: RegId): RegistrationState;
  standing(regId: RegId, heights: Heights): Standing;
  /** Whether the keys of the registration are held: as the owner says, until they are to be wiped. */
  keysHeld(regId: RegId): boolean;
  /**
   * Merges an admitted operation. Operations below the version floor change nothing.
   * @param options.keys whether the owner has the registration's keys at hand and will keep them if `keysAfter`.
   */
  apply(regId: RegId, operation: OperationSummary, options: { keys: boolean; heights: Heights }): Change;
  /** Undoes a change whose write failed; the latest first. */
  restore(change: Change): void;
  /**
   * Raises the version floor, forgets what is below it, and gives up the keys of what has expired. Everything in the
   * answer is to be destroyed on disk; after a crash the next sweep names it again.
   */
  sweep(heights: Heights): Change[];
  /** Open, not expired, and without keys: to be asked for from other members. */
  wanted(heights: Heights): RegId[];
}

function keysMayBeHeld(meaning: Meaning, heights: Heights): boolean {
  return meaning.kind === 'open' && !mustWipe(meaning.expiryHeight, heights);
}

/** @param options.versionFloor as it was last stored. */
export function createRegistry(options: { versionFloor?: number } = {}): Registry {
  const columns = createStateColumns();
  let versionFloor = options.versionFloor ?? 0;

  function replace(regId: RegId, after: RegistrationState, keysAfter: boolean): Change {
    const before = columns.get(regId);
    const keysBefore = columns.keysHeld(regId);
    const kept = new Set(operationsOf(after).map(({ opId }) => opId));
    columns.set(regId, after, keysAfter);
    const dropped = operationsOf(before)
      .map(({ opId }) => opId)
      .filter((opId) => !kept.has(opId));
    return { regId, before, after, keysBefore, keysAfter, dropped };
  }

  return {
    get size() {
      return columns.size;
    },
    get versionFloor() {
      return versionFloor;
    },
    get regIds() {
      return columns.regIds();
    },
    state: (regId) => columns.get(regId),
    standing(regId, heights) {
      const meaning = meaningOf(columns.get(regId));
      if (meaning.kind === 'unknown') return { kind: 'unknown' };
      if (meaning.kind === 'revoked') return { kind: 'revoked', expiryHeight: meaning.version + LIFETIME_BLOCKS };
      const { birthday, expiryHeight } = meaning;
      return { kind: mayServe(expiryHeight, heights) ? 'open' : 'expired', birthday, expiryHeight };
    },
    keysHeld: (regId) => columns.keysHeld(regId),
    apply(regId, operation, { keys, heights }) {
      const before = columns.get(regId);
      const added = operation.version < versionFloor ? NO_OPERATIONS : stateOf(operation);
      const after = join(before, added);
      return replace(regId, after, (keys || columns.keysHeld(regId)) && keysMayBeHeld(meaningOf(after), heights));
    },
    restore({ regId, before, keysBefore }) {
      columns.set(regId, before, keysBefore);
    },
    sweep(heights) {
      versionFloor = Math.max(versionFloor, versionFloorAt(heights));
      const due: RegId[] = [];
      const lowest = Math.min(heights.own, heights.cluster);
      columns.forEachDue(versionFloor, lowest, (regId) => due.push(regId));
      return due.map((regId) => {
        const after = forgetBelow(columns.get(regId), versionFloor);
        return replace(regId, after, columns.keysHeld(regId) && keysMayBeHeld(meaningOf(after), heights));
      });
    },
    wanted(heights) {
      const found: RegId[] = [];
      for (const regId of columns.regIds()) {
        if (columns.keysHeld(regId)) continue;
        const meaning = meaningOf(columns.get(regId));
        if (meaning.kind === 'open' && mayServe(meaning.expiryHeight, heights)) found.push(regId);
      }
      return found;
    },
  };
}
