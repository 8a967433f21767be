// From a detection result to a match record.

import type { DetectionResult } from '../detection-job.ts';
import type { KeySlot } from '../key-table.ts';
import type { Entry } from './entries.ts';
import type { Match, MatchRecord } from './match-record.ts';
import type { Range, Ranges } from './ranges.ts';

/** A batch of whole blocks that was tested. */
export interface ScannedBatch {
  readonly from: number;
  readonly to: number;
  /** The transactions of the job, in its order, which is the chain's. */
  readonly transactions: readonly { readonly height: number; readonly blockIndex: number; readonly flags: number }[];
  readonly result: DetectionResult;
  /** The registration whose key is in a slot; undefined if it was removed meanwhile. */
  readonly serialOf: (slot: KeySlot) => number | undefined;
  /** Whether there is a registration of this serial number that is not covered by being tested here. */
  readonly isOther: (serial: number) => boolean;
}

/** The record of a batch; it takes the same steps for a registration with matches as for one without. */
export function recordOfBatch({ from, to, transactions, result, serialOf, isOther }: ScannedBatch): MatchRecord {
  const tested = bySerial(result, serialOf);
  const undecodable: ReadonlySet<number> = new Set(result.undecodable);
  const everybody: Entry[] = [];
  const matches: Match[] = [];
  transactions.forEach(({ height, blockIndex, flags }, index) => {
    const entry: Entry = [height, blockIndex];
    if (flags === 0 || undecodable.has(index)) {
      everybody.push(entry);
      return;
    }
    const serials = tested.filter(({ position }) => result.matches(index, position)).map(({ serial }) => serial);
    if (serials.length > 0) matches.push({ entry, serials });
  });
  const serials = serialRuns(
    tested.map(({ serial }) => serial),
    isOther,
  );
  return { spans: serials.length > 0 ? [{ from, to, serials }] : [], everybody, matches };
}

interface Tested {
  readonly serial: number;
  readonly position: number;
}

/** Who was tested, by serial number. Keys were mostly added in that order, and then nothing is to be sorted. */
function bySerial({ slots }: DetectionResult, serialOf: (slot: KeySlot) => number | undefined): readonly Tested[] {
  const tested: Tested[] = [];
  let sorted = true;
  for (let position = 0, previous = -1; position < slots.length; position++) {
    const serial = serialOf(slots[position]!);
    if (serial === undefined) continue;
    tested.push({ serial, position });
    sorted &&= serial > previous;
    previous = serial;
  }
  return sorted ? tested : tested.sort((a, b) => a.serial - b.serial);
}

/** Ascending serial numbers as ranges that bridge numbers nobody has: mostly a single one. */
export function serialRuns(serials: readonly number[], isOther: (serial: number) => boolean): Ranges {
  const runs: [number, number][] = [];
  const bridged = (above: number, below: number): boolean => {
    for (let serial = above + 1; serial < below; serial++) if (isOther(serial)) return false;
    return true;
  };
  for (const serial of serials) {
    const last = runs.at(-1);
    if (last && bridged(last[1], serial)) last[1] = serial;
    else runs.push([serial, serial]);
  }
  return runs satisfies Range[];
}
