import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCoverage } from '../../../../src/fmd/index-sets/coverage.ts';
import {
  areNormal,
  clipRanges,
  contiguousEnd,
  gapsIn,
  normaliseRanges,
  type Range,
  type Ranges,
  rangesInclude,
  unionRanges,
} from '../../../../src/fmd/index-sets/ranges.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

const TOP = 30;
const value = fc.integer({ min: 0, max: TOP });
const someRanges: fc.Arbitrary<Ranges> = fc.array(fc.tuple(value, value), { maxLength: 8 });
/** The oracle: every single height. */
const setOf = (ranges: Ranges): Set<number> =>
  new Set(ranges.flatMap(([from, to]) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)));

const union = (a: ReadonlySet<number>, b: ReadonlySet<number>) => new Set([...a, ...b]);
const without = (a: ReadonlySet<number>, b: ReadonlySet<number>) => new Set([...a].filter((one) => !b.has(one)));
const both = (a: ReadonlySet<number>, b: ReadonlySet<number>) => new Set([...a].filter((one) => b.has(one)));

describe('ranges', () => {
  it('do what sets of single heights do', () => {
    fc.assert(
      fc.property(someRanges, someRanges, value, value, (a, b, from, to) => {
        const [na, nb] = [normaliseRanges(a), normaliseRanges(b)];
        for (const normal of [na, nb, unionRanges(na, nb), clipRanges(na, from, to), gapsIn(na, from, to)]) {
          expect(areNormal(normal)).toBe(true);
        }
        expect(setOf(na)).toEqual(setOf(a));
        expect(setOf(unionRanges(na, nb))).toEqual(union(setOf(a), setOf(b)));
        const window = setOf([[from, to]]);
        expect(setOf(clipRanges(na, from, to))).toEqual(both(setOf(a), window));
        expect(setOf(gapsIn(na, from, to))).toEqual(without(window, setOf(a)));
        expect(rangesInclude(na, from)).toBe(setOf(a).has(from));
        let end = from - 1;
        while (setOf(a).has(end + 1)) end++;
        expect(contiguousEnd(na, from)).toBe(end);
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });
});

describe('coverage', () => {
  const serial = fc.nat(7);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), serial, birthday: value }),
    fc.record({ kind: fc.constant('remove' as const), serial }),
    fc.record({
      kind: fc.constant('cover' as const),
      serials: fc.array(fc.tuple(serial, serial), { minLength: 1, maxLength: 3 }),
      from: value,
      length: fc.nat(12),
    }),
  );

  it('is for each registration what a set of its own would be, however groups split and flow together', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), value, value, (steps, from, to) => {
        const coverage = createCoverage();
        const model = new Map<number, Set<number>>();
        for (const one of steps) {
          if (one.kind === 'add') {
            if (model.has(one.serial)) continue;
            coverage.add(one.serial, one.birthday);
            model.set(one.serial, setOf([[0, one.birthday - 1]]));
          } else if (one.kind === 'remove') {
            if (model.delete(one.serial)) coverage.remove(one.serial);
          } else {
            const serials = normaliseRanges(one.serials);
            const range: Range = [one.from, one.from + one.length];
            coverage.cover(serials, ...range);
            for (const [number, set] of model) {
              if (rangesInclude(serials, number)) model.set(number, union(set, setOf([range])));
            }
          }
        }
        for (const [number, set] of model) expect(setOf(coverage.ranges(number))).toEqual(set);
        const lacking = [...model].filter(([, set]) => without(setOf([[from, to]]), set).size > 0);
        expect(coverage.lacking(from, to)).toEqual(lacking.map(([number]) => number).sort((a, b) => a - b));
        const kinds = new Set([...model.values()].map((set) => [...set].sort((a, b) => a - b).join(' ')));
        expect(coverage.groups).toBe(kinds.size);
        expect(coverage.distinct().reduce((sum, { members }) => sum + members, 0)).toBe(model.size);
      }),
      { numRuns: fuzzRuns(1500) },
    );
  });
});
