import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBlocks, medianHeight, type Voice } from '../../../../src/replication/cluster-height/agreement.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { blockOf } from '../../../support/heights.ts';

const voice = (operator: string, height: number, ...blocks: [number, string?][]): Voice => ({
  operator,
  height,
  blocks: blocks.map(([at, chain]) => ({ height: at, hash: blockOf(at, chain) })),
});
const own = [{ height: 64, hash: blockOf(64) }];

describe('the median of heights', () => {
  it('is that of the only operator, and the lower of two', () => {
    expect(medianHeight([])).toBeUndefined();
    expect(medianHeight([voice('a', 7)])).toBe(7);
    expect(medianHeight([voice('a', 7), voice('b', 1e12)])).toBe(7);
    expect(medianHeight([voice('a', 7), voice('b', 3)])).toBe(3);
    expect(medianHeight([voice('a', 7), voice('b', 9), voice('c', 1e12)])).toBe(9);
  });

  it('counts an operator once, however many platforms it has', () => {
    const many = Array.from({ length: 20 }, () => voice('liar', 1e12));
    expect(medianHeight([...many, voice('a', 7), voice('b', 8)])).toBe(8);
    expect(medianHeight([voice('a', 7), voice('a', 9), voice('a', 1e12), voice('b', 1e12), voice('c', 3)])).toBe(9);
  });

  it('lies between honest heights, whatever a minority of operators says and in whatever order', () => {
    const height = fc.nat({ max: 1_000_000 });
    const lists = fc
      .array(height, { minLength: 1, maxLength: 9 })
      .chain((honest) => fc.tuple(fc.constant(honest), fc.array(fc.nat(), { maxLength: honest.length - 1 }), fc.nat()));
    fc.assert(
      fc.property(lists, ([honest, lies, turn]) => {
        const voices = [...honest, ...lies].map((at, i) => voice(`operator ${i}`, at));
        const median = medianHeight(voices)!;
        expect(median).toBeGreaterThanOrEqual(Math.min(...honest));
        expect(median).toBeLessThanOrEqual(Math.max(...honest));
        const turned = [...voices.slice(turn % voices.length), ...voices.slice(0, turn % voices.length)];
        expect(medianHeight(turned)).toBe(median);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });
});

describe('comparing blocks', () => {
  it('finds nothing where heights are not common', () => {
    const voices = [voice('a', 70, [64]), voice('b', 40, [32, 'other']), voice('c', 99, [96, 'other'])];
    expect(compareBlocks(own, voices)).toEqual({ against: undefined, agreed: undefined, disputed: undefined });
  });

  it('knows three operators that agree, and most of three that do not', () => {
    const all = ['a', 'b', 'c'].map((name) => voice(name, 70, [64]));
    expect(compareBlocks(own, all)).toEqual({ against: undefined, agreed: 64, disputed: undefined });
    const two = [voice('a', 70, [64]), voice('b', 70, [64, 'x']), voice('c', 70, [64, 'x'])];
    expect(compareBlocks(own, two)).toEqual({ against: 64, agreed: undefined, disputed: 64 });
  });

  it('sees a minority that differs, and accuses nobody', () => {
    const one = [voice('a', 70, [64]), voice('b', 70, [64]), voice('c', 70, [64, 'x'])];
    expect(compareBlocks(own, one)).toEqual({ against: undefined, agreed: 64, disputed: 64 });
    const apart = [voice('a', 70, [64]), voice('b', 70, [64, 'y']), voice('c', 70, [64, 'x'])];
    expect(compareBlocks(own, apart)).toEqual({ against: undefined, agreed: undefined, disputed: 64 });
    const half = [...one, voice('d', 70, [64, 'x'])];
    expect(compareBlocks(own, half)).toEqual({ against: undefined, agreed: undefined, disputed: 64 });
  });

  it('takes two operators for no majority, and one for one, however many platforms it has', () => {
    const liars = Array.from({ length: 9 }, () => voice('liar', 70, [64, 'x']));
    expect(compareBlocks(own, [voice('a', 70, [64]), ...liars])).toMatchObject({ against: undefined, disputed: 64 });
    const three = [voice('a', 70, [64]), voice('b', 70, [64]), ...liars];
    expect(compareBlocks(own, three)).toEqual({ against: undefined, agreed: 64, disputed: 64 });
  });

  it('leaves out an operator whose platforms are divided', () => {
    const divided = [voice('b', 70, [64]), voice('b', 70, [64, 'x'])];
    const voices = [voice('a', 70, [64]), ...divided, voice('c', 70, [64, 'x'])];
    expect(compareBlocks(own, voices)).toMatchObject({ against: undefined, agreed: undefined, disputed: 64 });
  });
});
