// Match records: what detection writes, one per block batch, whether or not anything matched. A record covers many
// registrations, names them by serial numbers that mean nothing elsewhere, and has a size that follows from public
// numbers as long as its matches fit.

import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { pad, unpad } from '../../core/padding.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytesUpTo, closed, list, shape, Type, uint } from '../../core/schema.ts';
import { decodeEntries, type Entry, EntryReader, EntryWriter, encodeEntries } from './entries.ts';
import { MATCH_RECORD_BYTES_MAX, MATCH_RECORD_BYTES_MIN } from './limits.ts';
import { areNormal, type Ranges } from './ranges.ts';

/** Heights that were scanned, for the registrations whose serial numbers lie in `serials`. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly serials: Ranges;
}

/** A transaction and the registrations it matched: serial numbers, ascending, at least one. */
export interface Match {
  readonly entry: Entry;
  readonly serials: readonly number[];
}

export interface MatchRecord {
  readonly spans: readonly Span[];
  /** Transactions without flags, or with one that does not decode: they match everybody. Sorted, each once. */
  readonly everybody: readonly Entry[];
  /** Sorted by entry, each entry once. */
  readonly matches: readonly Match[];
}

/** What a record's size may depend on: public numbers only. */
export interface ScanSize {
  readonly transactions: number;
  readonly flags: number;
  /** Foreign matches to be expected of one flag: the sum of 2^-n over the keys tested. */
  readonly expectedPerFlag: number;
}

const SERIAL_MAX = Number.MAX_SAFE_INTEGER - 1;
const SPANS_MAX = 1_000_000;

const recordShape = shape(
  closed({
    spans: list(
      closed({
        from: uint(HEIGHT_MAX),
        to: uint(HEIGHT_MAX),
        serials: list(Type.Tuple([uint(SERIAL_MAX), uint(SERIAL_MAX)]), SPANS_MAX, 1),
      }),
      SPANS_MAX,
    ),
    everybody: bytesUpTo(MATCH_RECORD_BYTES_MAX),
    matches: bytesUpTo(MATCH_RECORD_BYTES_MAX),
  }),
);

/** Room for spans and CBOR around the lists. */
const FRAME_BYTES = 128;
/** An entry with the number of its matches takes at most this in practice. */
const ENTRY_BYTES = 8;
/** A serial number as difference: four bytes reach 2^28. */
const SERIAL_BYTES = 4;
/** Standard deviations of the number of foreign matches that fit without a larger record: one in 10^9 exceeds six. */
const DEVIATIONS = 6;

/**
 * The size planned for a record: each flag may have an owner among the users, foreign matches are Poisson distributed;
 * rounded up to a power of two.
 */
export function plannedRecordBytes({ transactions, flags, expectedPerFlag }: ScanSize): number {
  const foreign = flags * expectedPerFlag;
  const matches = flags + foreign + DEVIATIONS * Math.sqrt(foreign);
  return recordBucket(FRAME_BYTES + ENTRY_BYTES * transactions + SERIAL_BYTES * Math.ceil(matches));
}

function recordBucket(bytes: number): number {
  let size = MATCH_RECORD_BYTES_MIN;
  while (size < bytes) size *= 2;
  return size;
}

/** Padded to the planned size, or, should its matches not fit, to the next power of two that holds them. */
export function encodeMatchRecord(record: MatchRecord, size: ScanSize): Uint8Array {
  const content = encodeCbor({
    spans: record.spans.map(({ from, to, serials }) => ({ from, to, serials })),
    everybody: encodeEntries(record.everybody, 0),
    matches: encodeMatches(record.matches),
  });
  return pad(content, Math.max(plannedRecordBytes(size), recordBucket(content.length + 1)));
}

/** @throws KithError `bad-record`, `bad-entries`, `bad-padding` or a code of core/cbor. */
export function decodeMatchRecord(padded: Uint8Array): MatchRecord {
  const limits = { bytesMax: MATCH_RECORD_BYTES_MAX, where: 'match record' };
  const { spans, everybody, matches } = decodeCbor(unpad(padded), recordShape, limits);
  for (const { from, to, serials } of spans) {
    if (from > to || !areNormal(serials)) throw new KithError('bad-record', 'match record: a span is not in order');
  }
  return { spans, everybody: decodeEntries(everybody, 0), matches: decodeMatches(matches) };
}

function encodeMatches(matches: readonly Match[]): Uint8Array {
  const writer = new EntryWriter(0);
  for (const { entry, serials } of matches) {
    if (!writer.accepts(...entry) || serials.length === 0) {
      throw new KithError('bad-record', 'matches must be sorted, each entry once, with at least one serial number');
    }
    writer.push(...entry);
    writer.number(serials.length);
    let previous = -1;
    for (const serial of serials) {
      if (serial <= previous) throw new KithError('bad-record', 'serial numbers must ascend');
      writer.number(serial - previous - 1);
      previous = serial;
    }
  }
  return writer.bytes.slice();
}

function decodeMatches(bytes: Uint8Array): Match[] {
  const reader = new EntryReader(bytes, 0);
  const matches: Match[] = [];
  while (reader.advance()) {
    const entry: Entry = [reader.height, reader.blockIndex];
    const count = reader.next();
    if (count === 0) throw new KithError('bad-record', 'match record: an entry without matches');
    const serials: number[] = [];
    let previous = -1;
    // `count` is not believed for an allocation; a reader that runs out throws.
    for (let i = 0; i < count; i++) {
      previous += reader.next() + 1;
      if (previous > SERIAL_MAX) throw new KithError('bad-record', 'match record: a serial number is too large');
      serials.push(previous);
    }
    matches.push({ entry, serials });
  }
  return matches;
}
