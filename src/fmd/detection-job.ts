// Detection jobs: what is asked, how it becomes units of work, and how their results become the answer.

import { concatBytes } from '../core/bytes.ts';
import type { DetectionUnit, UnitResult } from './executor.ts';
import { FLAG_BORSH_BYTES } from './flag.ts';
import type { KeySlot, TileSelection } from './key-table.ts';

/** `head` follows the tip of the chain, `backfill` rescans for new registrations. */
export type Lane = 'head' | 'backfill';

/** What detection needs of a transaction: its flags in Borsh form (111 bytes each), undefined if it carries none. */
export interface FlaggedTransaction {
  readonly flags: readonly Uint8Array[] | undefined;
}

export interface DetectionJob {
  readonly lane: Lane;
  readonly transactions: readonly FlaggedTransaction[];
  /** Keys to test; all of the moment when left out. */
  readonly slots?: readonly KeySlot[];
  /** Told after each unit. */
  readonly onProgress?: (donePairs: number, totalPairs: number) => void;
}

/** Which transactions match which keys. A key removed meanwhile may still be listed: look up its slot before use. */
export interface DetectionResult {
  readonly slots: readonly KeySlot[];
  /** Transactions that hold a flag which is no canonical encoding; they match every key. */
  readonly undecodable: readonly number[];
  /** Whether transaction `index` (as in the job) matches the key `slots[position]`. */
  matches(index: number, position: number): boolean;
}

export interface PlannedUnit {
  readonly unit: DetectionUnit;
  readonly keys: number;
  readonly pairs: number;
  /** Position of the unit's first flag among the job's flags. */
  readonly firstFlag: number;
  /** Position of the unit's first key among the job's slots. */
  readonly firstSlot: number;
}

/** How large units should be; see DetectionExecutor. */
export interface UnitSizes {
  readonly pairsPerUnit: number;
  readonly pairsPerFlag: number;
}

export interface JobPlan {
  readonly totalPairs: number;
  readonly units: Generator<PlannedUnit>;
  /** Takes in one unit's result; in any order. */
  apply(planned: PlannedUnit, result: UnitResult): void;
  /** The answer, once every unit was applied. */
  result(): DetectionResult;
}

/** Lays out a job: its flags in one row, its keys by tile, its answer as a matrix of bits. */
export function planJob(request: DetectionJob, selections: readonly TileSelection[], sizes: UnitSizes): JobPlan {
  const flags: Uint8Array[] = [];
  const transactionOf: number[] = [];
  const { transactions } = request;
  // A transaction without flags matches everybody; so does one whose flags have a wrong length or do not decode.
  const everybody = new Uint8Array(transactions.length);
  const undecodable = new Set<number>();
  transactions.forEach((transaction, index) => {
    if (!transaction.flags || transaction.flags.length === 0) everybody[index] = 1;
    for (const flag of transaction.flags ?? []) {
      if (flag.length === FLAG_BORSH_BYTES) {
        flags.push(flag);
        transactionOf.push(index);
      } else {
        undecodable.add(index);
      }
    }
  });
  const slots = selections.flatMap((selection) => selection.slots);
  const rowBytes = Math.ceil(slots.length / 8);
  const matrix = new Uint8Array(transactions.length * rowBytes);

  return {
    units: planUnits(flags, selections, sizes),
    totalPairs: flags.length * slots.length,
    apply({ firstFlag, firstSlot, keys }, result) {
      const unitRowBytes = Math.ceil(keys / 8);
      for (let f = 0; f < result.undecodable.length; f++) {
        const index = transactionOf[firstFlag + f]!;
        if (result.undecodable[f]) undecodable.add(index);
        const from = result.matches.subarray(f * unitRowBytes, (f + 1) * unitRowBytes);
        orBits(matrix.subarray(index * rowBytes, (index + 1) * rowBytes), firstSlot, from, keys);
      }
    },
    result() {
      for (const index of undecodable) everybody[index] = 1;
      return {
        slots,
        undecodable: [...undecodable].sort((a, b) => a - b),
        matches: (index, position) =>
          (everybody[index]! | ((matrix[index * rowBytes + (position >> 3)]! >> (position & 7)) & 1)) === 1,
      };
    },
  };
}

/** Cuts (flags x keys) into units of about `pairsPerUnit`: at first along the keys, then along the flags. */
function* planUnits(
  flags: readonly Uint8Array[],
  selections: readonly TileSelection[],
  { pairsPerUnit, pairsPerFlag }: UnitSizes,
): Generator<PlannedUnit> {
  let firstSlot = 0;
  for (const span of spans(selections, pairsPerUnit)) {
    const keys = span.reduce((sum, { rows }) => sum + rows.length, 0);
    const flagsPerUnit = Math.max(1, Math.floor(pairsPerUnit / (keys + pairsPerFlag)));
    for (let flag = 0; flag < flags.length; flag += flagsPerUnit) {
      const batch = flags.slice(flag, flag + flagsPerUnit);
      const unit = { flags: concatBytes(...batch), selections: span };
      yield { unit, keys, pairs: batch.length * keys, firstFlag: flag, firstSlot };
    }
    firstSlot += keys;
  }
}

/** The selections in groups of at most `keysMax` keys, in order. */
function* spans(selections: readonly TileSelection[], keysMax: number): Generator<readonly TileSelection[]> {
  let span: TileSelection[] = [];
  let room = keysMax;
  for (const { tile, rows, slots } of selections) {
    for (let row = 0; row < rows.length; ) {
      const end = Math.min(rows.length, row + room);
      span.push({ tile, rows: rows.subarray(row, end), slots: slots.slice(row, end) });
      room -= end - row;
      row = end;
      if (room === 0) {
        yield span;
        span = [];
        room = keysMax;
      }
    }
  }
  if (span.length > 0) yield span;
}

/** ORs `count` bits of `from` into `into` at bit `offset`, the same steps whatever the bits are. */
function orBits(into: Uint8Array, offset: number, from: Uint8Array, count: number): void {
  for (let k = 0; k < count; k++) {
    const bit = (from[k >> 3]! >> (k & 7)) & 1;
    const at = offset + k;
    into[at >> 3] = into[at >> 3]! | (bit << (at & 7));
  }
}
