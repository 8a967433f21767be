// Sets of heights as ranges: ascending, disjoint, not adjacent; both ends belong to a range. Pure functions.

/** From and to, both included. */
export type Range = readonly [from: number, to: number];
export type Ranges = readonly Range[];

/** Whether these are ascending, disjoint, not adjacent, and each with its ends in order. */
export const areNormal = (ranges: Ranges): boolean =>
  ranges.every(([from, to], i) => from <= to && (i === 0 || ranges[i - 1]![1] + 1 < from));

/** Any ranges in any order, as a set; empty ones (to below from) count for nothing. */
export function normaliseRanges(ranges: Ranges): Ranges {
  const sorted = ranges.filter(([from, to]) => from <= to).sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

export const unionRanges = (a: Ranges, b: Ranges): Ranges => normaliseRanges([...a, ...b]);

/** The part from `from` to `to`. */
export const clipRanges = (ranges: Ranges, from: number, to: number): Ranges =>
  normaliseRanges(ranges.map(([a, b]): Range => [Math.max(a, from), Math.min(b, to)]));

/** Whether `value` is in the set. */
export const rangesInclude = (ranges: Ranges, value: number): boolean =>
  ranges.some(([from, to]) => from <= value && value <= to);

/** The last value of the unbroken run that begins at `start`; start - 1 if `start` itself is missing. */
export function contiguousEnd(ranges: Ranges, start: number): number {
  return ranges.find(([from, to]) => from <= start && start <= to)?.[1] ?? start - 1;
}

/** What is missing from `from` to `to`. */
export function gapsIn(ranges: Ranges, from: number, to: number): Ranges {
  const gaps: Range[] = [];
  let next = from;
  for (const [start, end] of clipRanges(ranges, from, to)) {
    if (next < start) gaps.push([next, start - 1]);
    next = end + 1;
  }
  if (next <= to) gaps.push([next, to]);
  return gaps;
}
