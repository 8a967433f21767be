import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/core/byte-reader.ts';
import { concatBytes } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { codeOf, failureOf } from '../../support/outcome.ts';

describe('a byte reader', () => {
  it('reads little-endian numbers and byte strings as Buffer wrote them', () => {
    const fields = fc.tuple(
      fc.nat({ max: 0xff }),
      fc.nat({ max: 0xffff }),
      fc.nat({ max: 0xffffffff }),
      fc.maxSafeNat(),
      fc.uint8Array({ maxLength: 9 }),
      fc.nat({ max: 3 }),
    );
    fc.assert(
      fc.property(fields, ([a, b, c, d, tail, before]) => {
        const head = Buffer.alloc(15);
        head.writeUInt8(a);
        head.writeUInt16LE(b, 1);
        head.writeUInt32LE(c, 3);
        head.writeBigUInt64LE(BigInt(d), 7);
        // A view that does not begin at its buffer's start, as a message inside a larger one is.
        const whole = concatBytes(new Uint8Array(before), head, tail);
        const reader = new ByteReader(whole.subarray(before));
        expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([a, b, c, d]);
        expect(reader.offset).toBe(15);
        expect(reader.remaining).toBe(tail.length);
        expect(reader.take(tail.length)).toEqual(tail);
        reader.end();
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('says which field is cut off, where, and how much is left', () => {
    const reader = new ByteReader(new Uint8Array(5));
    reader.u32();
    const failure = failureOf(() => reader.u16('version'));
    expect(failure?.code).toBe('truncated');
    expect(failure?.message).toBe('version: 2 bytes expected at offset 4, 1 left');
    expect(reader.remaining).toBe(1);
  });

  it('refuses a hostile length without reading or allocating', () => {
    const reader = new ByteReader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2));
    const length = reader.u32();
    expect(codeOf(() => reader.take(length))).toBe('truncated');
    expect(reader.remaining).toBe(2);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a length of %d and stays where it is', (length) => {
    const reader = new ByteReader(new Uint8Array(4));
    reader.u8();
    expect(codeOf(() => reader.take(length))).toBe('truncated');
    expect(reader.offset).toBe(1);
  });

  it('refuses a 64-bit number that JavaScript cannot hold', () => {
    const above = new ByteReader(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0));
    expect(codeOf(() => above.u64())).toBe('number-too-large');
    const highest = new ByteReader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0));
    expect(highest.u64()).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('tells bytes after the end', () => {
    const reader = new ByteReader(new Uint8Array(3));
    reader.u8();
    expect(failureOf(() => reader.end('quote'))?.message).toBe('quote: 2 bytes after its end');
    expect(codeOf(() => reader.end())).toBe('trailing-bytes');
  });

  it('answers any order of reads over any bytes with values or its own errors', () => {
    const step = fc.oneof(
      fc.constantFrom('u8' as const, 'u16' as const, 'u32' as const, 'u64' as const, 'end' as const),
      fc.integer({ min: -2, max: 40 }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(step, { maxLength: 10 }), (bytes, steps) => {
        const reader = new ByteReader(bytes);
        for (const next of steps) {
          const before = reader.offset;
          try {
            if (typeof next === 'number') expect(reader.take(next).length).toBe(next);
            else reader[next]();
          } catch (error) {
            if (!isKithError(error, 'truncated', 'trailing-bytes', 'number-too-large')) throw error;
          }
          expect(reader.offset).toBeGreaterThanOrEqual(before);
          expect(reader.offset + reader.remaining).toBe(bytes.length);
        }
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS) },
    );
  });
});
