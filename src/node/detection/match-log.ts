// The match records of a node in its sealed store. Recent ones, one per block batch, are compacted into few by height
// alone; every one is padded to a size that follows from public numbers.

import { u64be } from '../../core/bytes.ts';
import { bytesUpTo, closed, type Static, shape, uint } from '../../core/schema.ts';
import {
  compactionDue,
  compactRecords,
  decodeMatchRecord,
  encodeMatchRecord,
  type MatchRecord,
} from '../../fmd/index.ts';
import type { Namespace, SealedStore, StoreWrite } from '../store/index.ts';

/** As long as a value of the store may be, less the frame around it. */
const RECORD_BYTES_MAX = 12 * 1024 * 1024;

/** Expected foreign matches are kept in parts of a flag this small. */
const EXPECTED_PARTS = 2 ** 20;

const matchSchema = closed({
  /** Public numbers that the padding follows from, summed over what was compacted. */
  transactions: uint(),
  flags: uint(),
  /** Foreign matches to be expected, in millionths. */
  expected: uint(),
  record: bytesUpTo(RECORD_BYTES_MAX, 1),
});
type StoredMatches = Static<typeof matchSchema>;

/** Of a scanned batch: public numbers. */
export interface ScanCounts {
  readonly transactions: number;
  readonly flags: number;
  /** Of one flag: the sum of 2^-n over the registrations. */
  readonly expectedPerFlag: number;
}

export interface MatchLog {
  /** Records that await compaction. */
  readonly recent: number;
  /** Hands every stored record to `apply`; once, before anything else. */
  load(apply: (record: MatchRecord) => void): Promise<void>;
  /** The write of a new record; once it is synced, `wrote` is to be called. */
  append(bytes: Uint8Array, counts: ScanCounts): { readonly write: StoreWrite; wrote(): void };
  /**
   * Compacts what is recent, if a head batch from `previousTo` to `to` makes it due.
   * @param keep whether a registration still exists.
   * @throws KithError of the store: then everything stands as before.
   */
  compact(previousTo: number, to: number, keep: (serial: number) => boolean): Promise<void>;
}

/** Keys: one byte, then the number of the record. */
const RECENT = 0;
const COMPACTED = 1;
const keyOf = (kind: number, number: number): Uint8Array => Uint8Array.of(kind, ...u64be(number));

export function createMatchLog(deps: { store: SealedStore }): MatchLog {
  const records: Namespace<StoredMatches> = deps.store.namespace('matches', shape(matchSchema));
  const recent = new Set<number>();
  let next = 0;

  async function readRecent(numbers: readonly number[]): Promise<StoredMatches[]> {
    const found: StoredMatches[] = [];
    for (const number of numbers) {
      const stored = await records.get(keyOf(RECENT, number));
      if (stored) found.push(stored);
    }
    return found;
  }

  return {
    get recent() {
      return recent.size;
    },
    async load(apply) {
      for await (const [key, { record }] of records.entries()) {
        const number = Number(new DataView(key.buffer, key.byteOffset).getBigUint64(1));
        next = Math.max(next, number + 1);
        if (key[0] === RECENT) recent.add(number);
        apply(decodeMatchRecord(record));
      }
    },
    append(bytes, { transactions, flags, expectedPerFlag }) {
      const number = next++;
      const expected = Math.ceil(flags * expectedPerFlag * EXPECTED_PARTS);
      const write = records.put(keyOf(RECENT, number), { transactions, flags, expected, record: bytes });
      return { write, wrote: () => void recent.add(number) };
    },
    async compact(previousTo, to, keep) {
      if (!compactionDue(previousTo, to)) return;
      const numbers = [...recent];
      const sources = await readRecent(numbers);
      const compacted = compactRecords(
        sources.map(({ record }) => decodeMatchRecord(record)),
        keep,
      );
      const share = (sum: number) => Math.ceil(sum / Math.max(1, compacted.length));
      const total = (field: 'transactions' | 'flags' | 'expected') =>
        sources.reduce((sum, source) => sum + source[field], 0);
      const [transactions, flags, expected] = [
        share(total('transactions')),
        share(total('flags')),
        share(total('expected')),
      ];
      const size = { transactions, flags, expectedPerFlag: expected / EXPECTED_PARTS / Math.max(1, flags) };
      const writes = compacted.map((record) =>
        records.put(keyOf(COMPACTED, next++), {
          transactions,
          flags,
          expected,
          record: encodeMatchRecord(record, size),
        }),
      );
      await deps.store.commit([...writes, ...numbers.map((number) => records.delete(keyOf(RECENT, number)))]);
      for (const number of numbers) recent.delete(number);
    },
  };
}
