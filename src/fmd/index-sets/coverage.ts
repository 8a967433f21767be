// Which heights were scanned for whom. Registrations with the same coverage share one group, so that a batch for
// everybody touches a handful of groups and not every registration.

import { KithError } from '../../core/errors.ts';
import { gapsIn, normaliseRanges, type Ranges, rangesInclude, unionRanges } from './ranges.ts';

/** Heights below a member's start count as covered: nothing is wanted there. So finished members are all alike. */
interface Group {
  ranges: Ranges;
  members: number;
  /** Bounds of the members' serial numbers; may be wider than needed after removals. */
  lowest: number;
  highest: number;
  /** Where the members are to be found since another group had the same ranges. */
  mergedInto: Group | undefined;
}

export interface Coverage {
  /** Number of distinct coverages. */
  readonly groups: number;
  /** @param start the first height there is something to scan: the birthday, or where the chain begins here. */
  add(serial: number, start: number): void;
  remove(serial: number): void;
  /** Heights `from` to `to` were scanned for these registrations. */
  cover(serials: Ranges, from: number, to: number): void;
  /** Covered heights, those below the start included. */
  ranges(serial: number): Ranges;
  /** Each distinct coverage with the number of registrations that have it. */
  distinct(): { readonly ranges: Ranges; readonly members: number }[];
  /** The registrations for which any height from `from` to `to` was not scanned, ascending. */
  lacking(from: number, to: number): number[];
}

export function createCoverage(): Coverage {
  const groupOf = new Map<number, Group>();
  const byRanges = new Map<string, Group>();

  const keyOf = (ranges: Ranges): string => ranges.join(' ');

  function groupFor(ranges: Ranges): Group {
    const key = keyOf(ranges);
    const existing = byRanges.get(key);
    if (existing) return existing;
    const group: Group = {
      ranges,
      members: 0,
      lowest: Number.POSITIVE_INFINITY,
      highest: Number.NEGATIVE_INFINITY,
      mergedInto: undefined,
    };
    byRanges.set(key, group);
    return group;
  }

  function resolve(serial: number): Group {
    const named = groupOf.get(serial);
    if (!named) throw new KithError('internal', `no registration has the serial number ${serial}`);
    if (!named.mergedInto) return named;
    let group = named;
    while (group.mergedInto) group = group.mergedInto;
    groupOf.set(serial, group);
    return group;
  }

  function join(serial: number, group: Group): void {
    groupOf.set(serial, group);
    group.members++;
    group.lowest = Math.min(group.lowest, serial);
    group.highest = Math.max(group.highest, serial);
  }

  function leave(group: Group, count = 1): void {
    group.members -= count;
    if (group.members === 0) byRanges.delete(keyOf(group.ranges));
  }

  /** Gives a whole group other ranges, and lets it flow into the group that has them already. */
  function change(group: Group, ranges: Ranges): void {
    byRanges.delete(keyOf(group.ranges));
    const target = byRanges.get(keyOf(ranges));
    group.ranges = ranges;
    if (!target) {
      byRanges.set(keyOf(ranges), group);
      return;
    }
    target.members += group.members;
    target.lowest = Math.min(target.lowest, group.lowest);
    target.highest = Math.max(target.highest, group.highest);
    group.members = 0;
    group.mergedInto = target;
  }

  /** Serial numbers, ascending, among which are all members of these groups: mostly the latest registrations. */
  function* candidates(groups: Iterable<Group>): Generator<number, void, undefined> {
    const bounds = normaliseRanges([...groups].map(({ lowest, highest }) => [lowest, highest]));
    const span = bounds.reduce((sum, [lowest, highest]) => sum + highest - lowest + 1, 0);
    if (span > groupOf.size) {
      // Numbers with many gaps: whoever came is fewer.
      yield* [...groupOf.keys()].sort((a, b) => a - b);
      return;
    }
    for (const [lowest, highest] of bounds) {
      for (let serial = lowest; serial <= highest; serial++) if (groupOf.has(serial)) yield serial;
    }
  }

  function coverPart(partial: ReadonlySet<Group>, serials: Ranges, from: number, to: number): void {
    const inside = new Map<Group, number[]>();
    for (const serial of candidates(partial)) {
      const group = resolve(serial);
      if (!partial.has(group) || !rangesInclude(serials, serial)) continue;
      const list = inside.get(group);
      if (list) list.push(serial);
      else inside.set(group, [serial]);
    }
    for (const [group, members] of inside) {
      const ranges = unionRanges(group.ranges, [[from, to]]);
      if (members.length === group.members) {
        change(group, ranges);
        continue;
      }
      leave(group, members.length);
      const target = groupFor(ranges);
      for (const serial of members) join(serial, target);
    }
  }

  return {
    get groups() {
      return byRanges.size;
    },
    add(serial, start) {
      if (groupOf.has(serial)) throw new KithError('bad-parameter', `the serial number ${serial} is taken`);
      join(serial, groupFor(normaliseRanges([[0, start - 1]])));
    },
    remove(serial) {
      leave(resolve(serial));
      groupOf.delete(serial);
    },
    cover(serials, from, to) {
      const partial = new Set<Group>();
      for (const group of [...byRanges.values()]) {
        if (group.ranges.some(([start, end]) => start <= from && to <= end)) continue;
        const whole = serials.some(([first, last]) => first <= group.lowest && group.highest <= last);
        const apart = serials.every(([first, last]) => last < group.lowest || group.highest < first);
        if (whole) change(group, unionRanges(group.ranges, [[from, to]]));
        else if (!apart) partial.add(group);
      }
      // A group that flowed into another one above is covered already; those left are still apart from it.
      if (partial.size > 0) coverPart(partial, serials, from, to);
    },
    ranges: (serial) => resolve(serial).ranges,
    distinct: () => [...byRanges.values()].map(({ ranges, members }) => ({ ranges, members })),
    lacking(from, to) {
      const lacks = new Set([...byRanges.values()].filter(({ ranges }) => gapsIn(ranges, from, to).length > 0));
      return [...candidates(lacks)].filter((serial) => lacks.has(resolve(serial)));
    },
  };
}
