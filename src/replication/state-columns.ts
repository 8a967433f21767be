// Registration states in columns: about 250 bytes a registration, the text of its id and its place in the map
// included; as objects they took over 700. The rows themselves have no meaning outside of this file.

import { fromUtf8, utf8 } from '../core/bytes.ts';
import { idBytes, type OpId, opIdFromBytes, type RegId } from '../core/ids.ts';
import { meaningOf, NO_OPERATIONS, type RegistrationState } from './merge.ts';
import type { OperationSummary } from './order.ts';

export interface StateColumns {
  readonly size: number;
  regIds(): Iterable<RegId>;
  /** NO_OPERATIONS if there is nothing. */
  get(regId: RegId): RegistrationState;
  keysHeld(regId: RegId): boolean;
  /** A state without operations removes the row. */
  set(regId: RegId, state: RegistrationState, keysHeld: boolean): void;
  /** Visits what holds an operation of a version below the floor, or keys that end below `height`. */
  forEachDue(versionFloor: number, height: number, visit: (regId: RegId) => void): void;
}

/** Rows at the beginning; doubled when full. */
const ROWS_FIRST = 1_024;

/** Numbers per row: version, expiry, birthday of the base; version, expiry of the renewal; expiry in force. */
const NUMBERS = 6;
/** Operation ids of base and renewal. */
const OP_ID_BYTES = 64;

/** What a row holds, as bits. */
const REGISTER = 1;
const REVOKE = 2;
const RENEWAL = 4;
const KEYS = 8;

export function createStateColumns(): StateColumns {
  const rowOf = new Map<RegId, number>();
  const free: number[] = [];
  let idOf: (RegId | undefined)[] = [];
  let flags = new Uint8Array(ROWS_FIRST);
  let numbers = new Float64Array(ROWS_FIRST * NUMBERS);
  let opIds = new Uint8Array(ROWS_FIRST * OP_ID_BYTES);

  function newRow(regId: RegId): number {
    const row = free.pop() ?? idOf.length;
    if (row === flags.length) {
      flags = grown(flags, new Uint8Array(2 * flags.length));
      numbers = grown(numbers, new Float64Array(2 * numbers.length));
      opIds = grown(opIds, new Uint8Array(2 * opIds.length));
    }
    const id = flat(regId);
    idOf[row] = id;
    rowOf.set(id, row);
    return row;
  }

  function removeRow(regId: RegId, row: number): void {
    rowOf.delete(regId);
    idOf[row] = undefined;
    flags[row] = 0;
    free.push(row);
    if (rowOf.size > 0) return;
    idOf = [];
    free.length = 0;
  }

  function write(at: number, operation: OperationSummary, row: number, second: number): void {
    numbers[at] = operation.version;
    numbers[at + 1] = operation.expiryHeight;
    opIds.set(idBytes(operation.opId), row * OP_ID_BYTES + 32 * second);
  }

  const opIdAt = (row: number, second: number): OpId => {
    const at = row * OP_ID_BYTES + 32 * second;
    return opIdFromBytes(opIds.subarray(at, at + 32));
  };

  function get(regId: RegId): RegistrationState {
    const row = rowOf.get(regId);
    if (row === undefined) return NO_OPERATIONS;
    const at = row * NUMBERS;
    const bits = flags[row]!;
    let base: OperationSummary | undefined;
    if (bits & (REGISTER | REVOKE)) {
      base = {
        type: bits & REGISTER ? 'register' : 'revoke',
        opId: opIdAt(row, 0),
        version: numbers[at]!,
        expiryHeight: numbers[at + 1]!,
        birthday: bits & REGISTER ? numbers[at + 2]! : undefined,
      };
    }
    const renewal: OperationSummary | undefined =
      bits & RENEWAL
        ? {
            type: 'renew',
            opId: opIdAt(row, 1),
            version: numbers[at + 3]!,
            expiryHeight: numbers[at + 4]!,
            birthday: undefined,
          }
        : undefined;
    return { base, renewal };
  }

  return {
    get size() {
      return rowOf.size;
    },
    regIds: () => rowOf.keys(),
    get,
    keysHeld: (regId) => ((flags[rowOf.get(regId) ?? -1] ?? 0) & KEYS) !== 0,
    set(regId, state, keysHeld) {
      const { base, renewal } = state;
      const existing = rowOf.get(regId);
      if (!base && !renewal) {
        if (existing !== undefined) removeRow(regId, existing);
        return;
      }
      const row = existing ?? newRow(regId);
      const at = row * NUMBERS;
      let bits = keysHeld ? KEYS : 0;
      if (base) {
        bits |= base.type === 'revoke' ? REVOKE : REGISTER;
        write(at, base, row, 0);
        numbers[at + 2] = base.birthday ?? 0;
      }
      if (renewal) {
        bits |= RENEWAL;
        write(at + 3, renewal, row, 1);
      }
      const meaning = meaningOf(state);
      numbers[at + 5] = meaning.kind === 'open' ? meaning.expiryHeight : -1;
      flags[row] = bits;
    },
    forEachDue(versionFloor, height, visit) {
      for (let row = 0; row < idOf.length; row++) {
        const bits = flags[row]!;
        if (bits === 0) continue;
        const at = row * NUMBERS;
        const old =
          ((bits & (REGISTER | REVOKE)) !== 0 && numbers[at]! < versionFloor) ||
          ((bits & RENEWAL) !== 0 && numbers[at + 3]! < versionFloor);
        if (old || ((bits & KEYS) !== 0 && numbers[at + 5]! < height)) visit(idOf[row]!);
      }
    },
  };
}

/** An id may be a piece of a longer text, of a URL say, which V8 would keep as long as the id. This one stands alone. */
const flat = (regId: RegId): RegId => fromUtf8(utf8(regId)) as RegId;

function grown<T extends Uint8Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
