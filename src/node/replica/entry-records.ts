// Where the entries of logs lie in the sealed store: each in a record of its own at first, and all of a segment in one
// once the segment is complete. So a log of small entries costs a node few records, and each entry is written twice.

import { concatBytes, fromBase64Url, u64be } from '../../core/bytes.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytesUpTo, closed, list, shape, uint } from '../../core/schema.ts';
import { decodeLogEntry, ENTRY_BYTES_MAX, type WriterId } from '../../replication/index.ts';
import { storeError } from '../store/errors.ts';
import type { SealedStore, StoreWrite } from '../store/index.ts';
import { SEGMENT_ENTRIES } from './limits.ts';

const entryBytes = bytesUpTo(ENTRY_BYTES_MAX, 1);
const segmentSchema = closed({
  /** Highest expiryHeight of its entries. */
  expiryHeight: uint(HEIGHT_MAX),
  /** The last of the segment, up to its end: those before were never here. */
  entries: list(entryBytes, SEGMENT_ENTRIES, 1),
});

/** A part of a log: its entries from `first` to `seq`, none if `first` is above. */
export interface Stretch {
  readonly id: WriterId;
  readonly first: number;
  readonly seq: number;
}

export interface EntryRecords {
  /** Writes of new entries, the last of a log held from `first` on. Reads what shares a segment with them. */
  add(id: WriterId, first: number, fresh: ReadonlyMap<number, Uint8Array>): Promise<StoreWrite[]>;
  /** Deletes of all records of a log. */
  deleteAll(log: Stretch): StoreWrite[];
  /** An entry of a log that is held; undefined if its record is not there. */
  read(log: Stretch, seq: number): Promise<Uint8Array | undefined>;
  /** The record with the first entry: up to which one it goes, when its last ends, and how to delete it. */
  firstRecord(log: Stretch): Promise<{ to: number; expiryHeight: number; delete: StoreWrite }>;
}

const keyOf = (id: WriterId, number: number): Uint8Array => concatBytes(fromBase64Url(id), u64be(number));
const segmentOf = (seq: number): number => Math.floor((seq - 1) / SEGMENT_ENTRIES);
const startOf = (segment: number): number => segment * SEGMENT_ENTRIES + 1;
const endOf = (segment: number): number => (segment + 1) * SEGMENT_ENTRIES;

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

export function createEntryRecords({ store }: { store: SealedStore }): EntryRecords {
  const singles = store.namespace('log', shape(entryBytes));
  const segments = store.namespace('log-segments', shape(segmentSchema));
  /** Read last: page after page comes from one segment. */
  let lastRead:
    | { readonly id: WriterId; readonly segment: number; readonly entries: readonly Uint8Array[] }
    | undefined;
  /** When first records end, by log: so that a passing height reads nothing. */
  const firstEnds = new Map<WriterId, { readonly key: string; readonly expiryHeight: number }>();

  async function expect(id: WriterId, seq: number): Promise<Uint8Array> {
    const encoded = await singles.get(keyOf(id, seq));
    if (encoded) return encoded;
    throw storeError('store-corrupt', `log: entry ${seq} of a log is missing`);
  }

  async function segmentWrites(
    id: WriterId,
    segment: number,
    first: number,
    fresh: ReadonlyMap<number, Uint8Array>,
  ): Promise<StoreWrite[]> {
    const seqs = numbers(Math.max(first, startOf(segment)), endOf(segment));
    const entries = await Promise.all(seqs.map((seq) => fresh.get(seq) ?? expect(id, seq)));
    const expiryHeight = Math.max(...entries.map((encoded) => decodeLogEntry(encoded).expiryHeight));
    const old = seqs.filter((seq) => !fresh.has(seq));
    return [
      segments.put(keyOf(id, segment), { expiryHeight, entries }),
      ...old.map((seq) => singles.delete(keyOf(id, seq))),
    ];
  }

  return {
    async add(id, first, fresh) {
      const seqs = [...fresh.keys()].filter((seq) => seq >= first);
      const last = Math.max(...seqs);
      const isComplete = (seq: number) => endOf(segmentOf(seq)) <= last;
      const writes = seqs.filter((seq) => !isComplete(seq)).map((seq) => singles.put(keyOf(id, seq), fresh.get(seq)!));
      for (const segment of new Set(seqs.filter(isComplete).map(segmentOf))) {
        writes.push(...(await segmentWrites(id, segment, first, fresh)));
      }
      return writes;
    },
    deleteAll({ id, first, seq }) {
      if (first > seq) return [];
      /** The first segment that is not complete. */
      const open = segmentOf(seq + 1);
      return [
        ...numbers(segmentOf(first), open - 1).map((segment) => segments.delete(keyOf(id, segment))),
        ...numbers(Math.max(first, startOf(open)), seq).map((at) => singles.delete(keyOf(id, at))),
      ];
    },
    async read(log, seq) {
      const segment = segmentOf(seq);
      if (endOf(segment) > log.seq) return singles.get(keyOf(log.id, seq));
      if (lastRead?.id !== log.id || lastRead.segment !== segment) {
        const stored = await segments.get(keyOf(log.id, segment));
        if (!stored) return undefined;
        lastRead = { id: log.id, segment, entries: stored.entries };
      }
      return lastRead.entries.at(seq - endOf(segment) - 1);
    },
    async firstRecord({ id, first, seq }) {
      const segment = segmentOf(first);
      const isSegment = endOf(segment) <= seq;
      const key = `${isSegment}/${first}`;
      let known = firstEnds.get(id);
      if (known?.key !== key) {
        const stored = isSegment ? await segments.get(keyOf(id, segment)) : decodeLogEntry(await expect(id, first));
        if (!stored) throw storeError('store-corrupt', `log: segment ${segment} of a log is missing`);
        known = { key, expiryHeight: stored.expiryHeight };
        firstEnds.set(id, known);
      }
      return {
        to: isSegment ? endOf(segment) : first,
        expiryHeight: known.expiryHeight,
        delete: isSegment ? segments.delete(keyOf(id, segment)) : singles.delete(keyOf(id, first)),
      };
    },
  };
}
