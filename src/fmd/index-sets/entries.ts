// Entries (height, block index), sorted, each once, as a string of differences: about three bytes an entry. The same
// form in memory, in match records and in answers.

import { KithError } from '../../core/errors.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { BLOCK_INDEX_MAX, RUNS_MAX } from './limits.ts';
import { VARINT_BYTES_MAX, VarintReader, writeVarint } from './varint.ts';

/** One transaction: height and position in its block. */
export type Entry = readonly [height: number, blockIndex: number];

export const compareEntries = (a: Entry, b: Entry): number => a[0] - b[0] || a[1] - b[1];

/** Bytes at first; a list that has any entry soon has several. */
const WRITER_BYTES_FIRST = 24;

/** Writes numbers and entries; grows by half. */
export class EntryWriter {
  #bytes = new Uint8Array(WRITER_BYTES_FIRST);
  #length = 0;
  #height: number;
  #index = -1;
  #begun = false;

  /** @param base heights are written as differences, the first one from this; every entry is above it. */
  constructor(base: number) {
    this.#height = base;
  }

  /** Whether `entry` comes after everything written. */
  accepts(height: number, blockIndex: number): boolean {
    return height > this.#height || (this.#begun && height === this.#height && blockIndex > this.#index);
  }

  /** The caller has made sure that the entry is accepted. */
  push(height: number, blockIndex: number): void {
    const step = height - this.#height;
    this.number(step);
    this.number(step === 0 ? blockIndex - this.#index - 1 : blockIndex);
    this.#height = height;
    this.#index = blockIndex;
    this.#begun = true;
  }

  /** A number beside the entries. */
  number(value: number): void {
    if (this.#bytes.length - this.#length < VARINT_BYTES_MAX) {
      const larger = new Uint8Array(Math.ceil(this.#bytes.length * 1.5) + VARINT_BYTES_MAX);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length = writeVarint(this.#bytes, this.#length, value);
  }

  /** The rest of another list whose last entry read was the last one written here; nothing may follow. */
  tail(bytes: Uint8Array): void {
    const whole = new Uint8Array(this.#length + bytes.length);
    whole.set(this.bytes);
    whole.set(bytes, this.#length);
    this.#bytes = whole;
    this.#length = whole.length;
  }

  /** What was written, as a view that the next write may invalidate. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads entries and whatever numbers stand beside them, without making an object of each. */
export class EntryReader extends VarintReader {
  /** Of the entry read last. */
  height: number;
  /** Of the entry read last. */
  blockIndex = -1;
  #begun = false;

  constructor(bytes: Uint8Array, base: number) {
    super(bytes);
    this.height = base;
  }

  /** Goes to the next entry; false at the end. @throws KithError `bad-entries`. */
  advance(): boolean {
    if (this.done) return false;
    const step = this.next();
    const offset = this.next();
    if (step === 0 && !this.#begun) throw new KithError('bad-entries', 'the first entry must be above its base');
    this.height += step;
    this.blockIndex = step === 0 ? this.blockIndex + 1 + offset : offset;
    this.#begun = true;
    if (this.height > HEIGHT_MAX || this.blockIndex > BLOCK_INDEX_MAX) {
      throw new KithError('bad-entries', 'a height or block index is beyond its limit');
    }
    return true;
  }
}

/** @param entries sorted, each once, all above `base`. */
export function encodeEntries(entries: readonly Entry[], base: number): Uint8Array {
  const writer = new EntryWriter(base);
  for (const [height, index] of entries) {
    if (!writer.accepts(height, index)) throw new KithError('bad-entries', 'entries must be sorted, each once');
    writer.push(height, index);
  }
  return writer.bytes.slice();
}

/** @throws KithError `bad-entries`: nothing but the one encoding of a sorted list without duplicates is accepted. */
export function decodeEntries(bytes: Uint8Array, base: number): Entry[] {
  const reader = new EntryReader(bytes, base);
  const entries: Entry[] = [];
  while (reader.advance()) entries.push([reader.height, reader.blockIndex]);
  return entries;
}

/** The entries of both, sorted, each once. */
export function unionEntries(a: readonly Entry[], b: readonly Entry[]): Entry[] {
  if (a.length === 0 || b.length === 0) return [...a, ...b];
  const out: Entry[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const order = compareEntries(a[i]!, b[j]!);
    out.push(order <= 0 ? a[i]! : b[j]!);
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  while (i < a.length) out.push(a[i++]!);
  while (j < b.length) out.push(b[j++]!);
  return out;
}

/** A growing list that takes entries in any order; cheap as long as they come in a few ascending lanes. */
export class EntryList {
  #runs: EntryWriter[] = [];

  add(height: number, blockIndex: number): void {
    let run = this.#runs.find((candidate) => candidate.accepts(height, blockIndex));
    if (!run) {
      if (this.#runs.length === RUNS_MAX) this.#merge();
      run = this.#runs.find((candidate) => candidate.accepts(height, blockIndex));
    }
    if (!run) {
      run = new EntryWriter(0);
      this.#runs.push(run);
    }
    run.push(height, blockIndex);
  }

  #merge(): void {
    const merged = new EntryWriter(0);
    mergeReaders(this.readers(), 0, (height, index) => {
      merged.push(height, index);
      return true;
    });
    this.#runs = [merged];
  }

  /** One reader per run, each at its beginning. */
  readers(): EntryReader[] {
    return this.#runs.map((run) => new EntryReader(run.bytes, 0));
  }
}

/**
 * Visits the entries of all readers above height `above`, sorted, each once, until `visit` says false.
 * @param readers at their beginnings; used up.
 * @param last told when one reader is left, which stands at an entry not visited yet; true ends the visits.
 */
export function mergeReaders(
  readers: readonly EntryReader[],
  above: number,
  visit: (height: number, blockIndex: number) => boolean,
  last: (reader: EntryReader) => boolean = () => false,
): void {
  let open = readers.filter((reader) => advanceAbove(reader, above));
  if (open.length === 1 && last(open[0]!)) return;
  while (open.length > 0) {
    let least = open[0]!;
    for (const reader of open) {
      const order = reader.height - least.height || reader.blockIndex - least.blockIndex;
      if (order < 0) least = reader;
    }
    const { height, blockIndex } = least;
    if (!visit(height, blockIndex)) return;
    let ended = false;
    for (const reader of open) {
      if (reader.height === height && reader.blockIndex === blockIndex && !reader.advance()) {
        reader.height = Number.POSITIVE_INFINITY;
        ended = true;
      }
    }
    if (!ended) continue;
    open = open.filter((reader) => reader.height !== Number.POSITIVE_INFINITY);
    if (open.length === 1 && last(open[0]!)) return;
  }
}

function advanceAbove(reader: EntryReader, above: number): boolean {
  while (reader.advance()) if (reader.height > above) return true;
  return false;
}

/**
 * The entries of some lists above `above` and up to `upTo`, encoded with base `base`; if they are more than `countMax`,
 * the height of the first that is too many.
 */
export function encodeAbove(
  lists: readonly EntryList[],
  range: { above: number; upTo: number; base: number },
  countMax: number,
): { readonly kind: 'entries'; readonly bytes: Uint8Array } | { readonly kind: 'too-many'; readonly height: number } {
  const writer = new EntryWriter(range.base);
  let count = 0;
  let tooMany = -1;
  const visit = (height: number, index: number): boolean => {
    if (height > range.upTo) return false;
    if (count === countMax) {
      tooMany = height;
      return false;
    }
    count++;
    writer.push(height, index);
    return true;
  };
  // Once a single run is left, its own bytes are the encoding: nine times as fast as entry by entry.
  const last = (reader: EntryReader): boolean => {
    const { rest } = reader;
    if (range.upTo < Number.MAX_SAFE_INTEGER || count + 1 + rest.length / 2 > countMax) return false;
    writer.push(reader.height, reader.blockIndex);
    writer.tail(rest);
    return true;
  };
  const readers = lists.flatMap((list) => list.readers());
  mergeReaders(readers, range.above, visit, last);
  return tooMany >= 0 ? { kind: 'too-many', height: tooMany } : { kind: 'entries', bytes: writer.bytes };
}
