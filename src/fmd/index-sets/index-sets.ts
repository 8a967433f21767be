// The index sets of all registrations, in memory: who was scanned up to where, and what matched. Built from match
// records alone, so that what is served after a restart is what was written.

import { KithError } from '../../core/errors.ts';
import type { Random } from '../../core/ports.ts';
import {
  answerStart,
  type IndexSetContent,
  indexSetKey,
  type LookUp,
  type SealedIndexSet,
  sealIndexSet,
} from './blob.ts';
import { createCoverage } from './coverage.ts';
import { EntryList, encodeAbove } from './entries.ts';
import { ENTRIES_PER_ANSWER_MAX } from './limits.ts';
import { encodeMatchRecord, type MatchRecord } from './match-record.ts';
import { clipRanges, contiguousEnd, gapsIn } from './ranges.ts';
import { recordOfBatch, type ScannedBatch } from './scan.ts';
import { createUserTable } from './user-table.ts';

/** A stretch of the chain that some registrations lack. */
export interface BackfillTask {
  readonly from: number;
  readonly to: number;
  /** Serial numbers, ascending. */
  readonly serials: readonly number[];
}

export interface IndexSets {
  readonly size: number;
  /** Number of distinct coverages: each costs a look at every batch. */
  readonly groups: number;
  /** Above every serial number that any registration or record names: for the next registration. */
  readonly nextSerial: number;
  /** Of one flag, over all keys: the sum of 2^-n. */
  readonly expectedPerFlag: number;
  /**
   * The first height of the chain that is indexed here; 0 until said. Once, before the first look-up and the first
   * backfill; registrations may be there already. What lies below counts as nothing to scan.
   * @throws KithError `bad-parameter` if another height was said before.
   */
  begin(first: number): void;
  /**
   * Adds a registration; only the key derived from its data key is kept. Serial numbers are never used twice, and are
   * above all that records made or applied so far: after a start all registrations are added, then records applied.
   */
  add(serial: number, user: { dataKey: Uint8Array; birthday: number; n: number }): void;
  /** Overwrites the key and drops the set. False if there is none. */
  remove(serial: number): boolean;
  has(serial: number): boolean;
  /** The record of a scanned batch and the bytes to write; changes nothing. */
  record(batch: Omit<ScannedBatch, 'isOther'>): { readonly record: MatchRecord; readonly bytes: Uint8Array };
  /** Takes in a record that was written. Idempotent; in any order. */
  apply(record: MatchRecord): void;
  /**
   * End of the unbroken covered range from max(birthday, since + 1, first height); undefined if there is no such
   * registration.
   */
  syncedTo(serial: number, since: number): number | undefined;
  /** The answer to a look-up in the clear. */
  content(serial: number, since: number): IndexSetContent | undefined;
  /** The answer to a look-up, with the syncedTo its entity tag needs. */
  seal(
    deps: { random: Random },
    serial: number,
    lookUp: LookUp,
  ): (SealedIndexSet & { readonly syncedTo: number }) | undefined;
  /** The lowest stretch of at most `blocksMax` heights up to `upTo` that any registration lacks. */
  nextBackfill(upTo: number, blocksMax: number): BackfillTask | undefined;
}

export function createIndexSets(): IndexSets {
  const users = createUserTable();
  const coverage = createCoverage();
  const everybody = new EntryList();
  let nextSerial = 0;
  /** Above every serial number of a record: records bridge those nobody has yet, so none may turn up late. */
  let named = 0;
  let first: number | undefined;

  function begin(height: number): void {
    if (!Number.isSafeInteger(height) || height < 0 || (first !== undefined && first !== height)) {
      throw new KithError('bad-parameter', `the first height indexed is a whole number and does not change: ${height}`);
    }
    first = height;
    if (height > 0) coverage.cover([[0, Number.MAX_SAFE_INTEGER]], 0, height - 1);
  }

  function add(serial: number, { dataKey, birthday, n }: { dataKey: Uint8Array; birthday: number; n: number }): void {
    if (!Number.isSafeInteger(serial) || serial < 0) {
      throw new KithError('bad-parameter', 'a serial number is a whole number from 0');
    }
    if (serial < named) throw new KithError('bad-parameter', `serial numbers ascend: expected ${named} or above`);
    coverage.add(serial, Math.max(birthday, first ?? 0));
    const key = indexSetKey(dataKey);
    users.add(serial, { key, birthday, n });
    key.fill(0);
    nextSerial = Math.max(nextSerial, serial + 1);
  }

  const startOf = (birthday: number, since: number): number => answerStart({ birthday, since, first: first ?? 0 });

  function content(serial: number, since: number): IndexSetContent | undefined {
    const birthday = users.birthday(serial);
    if (birthday === undefined) return undefined;
    const start = startOf(birthday, since);
    const own = users.entries(serial);
    const lists = own ? [own, everybody] : [everybody];
    // More than an answer holds: it ends before the height that would not fit whole, and the client asks again.
    let upTo = Number.MAX_SAFE_INTEGER;
    let found = encodeAbove(lists, { above: start - 1, upTo, base: since }, ENTRIES_PER_ANSWER_MAX);
    while (found.kind === 'too-many') {
      upTo = found.height - 1;
      found = encodeAbove(lists, { above: start - 1, upTo, base: since }, ENTRIES_PER_ANSWER_MAX);
    }
    const covered = clipRanges(coverage.ranges(serial), start, upTo);
    const syncedTo = contiguousEnd(covered, start);
    return { birthday, first: first ?? 0, covered, syncedTo, entries: found.bytes };
  }

  return {
    get size() {
      return users.size;
    },
    get groups() {
      return coverage.groups;
    },
    get nextSerial() {
      return nextSerial;
    },
    get expectedPerFlag() {
      return users.expectedPerFlag;
    },
    begin,
    add,
    remove(serial) {
      if (!users.remove(serial)) return false;
      coverage.remove(serial);
      return true;
    },
    has: (serial) => users.birthday(serial) !== undefined,
    record(batch) {
      // Asked only where serial numbers have gaps, and there mostly for some that are gone.
      let tested: Set<number | undefined> | undefined;
      const isOther = (serial: number) => {
        if (users.birthday(serial) === undefined) return false;
        tested ??= new Set(batch.result.slots.map(batch.serialOf));
        return !tested.has(serial);
      };
      const record = recordOfBatch({ ...batch, isOther });
      named = Math.max(named, endOfSerials(record));
      const flags = batch.transactions.reduce((sum, transaction) => sum + transaction.flags, 0);
      const size = { transactions: batch.transactions.length, flags, expectedPerFlag: users.expectedPerFlag };
      return { record, bytes: encodeMatchRecord(record, size) };
    },
    apply(record) {
      for (const [height, index] of record.everybody) everybody.add(height, index);
      for (const { entry, serials } of record.matches) {
        for (const serial of serials) users.addEntry(serial, entry);
      }
      for (const { from, to, serials } of record.spans) coverage.cover(serials, from, to);
      named = Math.max(named, endOfSerials(record));
      nextSerial = Math.max(nextSerial, named);
    },
    syncedTo(serial, since) {
      const birthday = users.birthday(serial);
      return birthday === undefined ? undefined : contiguousEnd(coverage.ranges(serial), startOf(birthday, since));
    },
    content,
    seal(deps, serial, lookUp) {
      const answer = content(serial, lookUp.since);
      const key = users.key(serial);
      if (!answer || !key) return undefined;
      return { ...sealIndexSet(deps, key, lookUp, answer), syncedTo: answer.syncedTo };
    },
    nextBackfill(upTo, blocksMax) {
      const missing = coverage.distinct().map(({ ranges }) => ranges);
      const from = Math.min(
        ...missing.flatMap((ranges) =>
          gapsIn(ranges, 0, upTo)
            .slice(0, 1)
            .map(([first]) => first),
        ),
      );
      if (!Number.isFinite(from)) return undefined;
      // All that lack any height of the window take part, from its beginning: else each birthday were a task.
      const last = Math.min(upTo, from + blocksMax - 1);
      const to = Math.max(...missing.map((ranges) => gapsIn(ranges, from, last).at(-1)?.[1] ?? from));
      return { from, to, serials: coverage.lacking(from, to) };
    },
  };
}

/** One above the highest serial number that a record's spans name. */
const endOfSerials = ({ spans }: MatchRecord): number =>
  spans.reduce((end, { serials }) => Math.max(end, serials.at(-1)![1] + 1), 0);
