import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pad, padmeLength, unpad } from '../../../src/core/padding.ts';
import { fuzzRuns } from '../../support/fuzz.ts';

describe('Padme', () => {
  it('gives the lengths worked out by hand', () => {
    expect([0, 1, 2, 3, 8, 9, 10, 17, 100, 1000, 1025, 10_000, 2 ** 20 + 1].map(padmeLength)).toEqual([
      0,
      1,
      2,
      3,
      8,
      10,
      10,
      18,
      104,
      1024,
      1088,
      10_240,
      2 ** 20 + 2 ** 15,
    ]);
  });

  it('never shortens, costs at most 12 %, keeps the order, and is its own fixed point', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x7fffffff }), fc.nat(1000), (length, more) => {
        const padded = padmeLength(length);
        expect(padded).toBeGreaterThanOrEqual(length);
        expect(padded).toBeLessThanOrEqual(length * 1.12);
        if (padded <= 0x7fffffff) expect(padmeLength(padded)).toBe(padded);
        expect(padmeLength(Math.min(0x7fffffff, length + more))).toBeGreaterThanOrEqual(padded);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it('has few sizes: 193 from four kibibytes to a mebibyte', () => {
    const sizes = new Set<number>();
    for (let length = 4096; length <= 2 ** 20; length++) sizes.add(padmeLength(length));
    expect(sizes.size).toBe(193);
  });

  it('refuses what is no length', () => {
    for (const length of [-1, 1.5, Number.NaN, 2 ** 31]) expect(() => padmeLength(length)).toThrow(/Padme/);
  });
});

describe('padding', () => {
  it('comes off as it went on, whatever the content ends with', () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom([0x80], [0x80, 0, 0], [0, 0], []).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 50 }), (bytes, more) => {
        expect(unpad(pad(bytes, bytes.length + more))).toEqual(bytes);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('refuses content that does not fit and bytes that are not padded', () => {
    expect(() => pad(new Uint8Array(8), 8)).toThrow(expect.objectContaining({ code: 'too-large' }));
    for (const bytes of [[], [0, 0], [1], [0x80, 1], [0x80, 0, 2, 0]]) {
      expect(() => unpad(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code: 'bad-padding' }));
    }
  });
});
