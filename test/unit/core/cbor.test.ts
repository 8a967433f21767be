import { decode, encode, rfc8949EncodeOptions } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../../src/core/bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../../src/core/cbor.ts';
import { closed, list, type Shape, shape, Type, text, uint } from '../../../src/core/schema.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { codeOf, failureOf } from '../../support/outcome.ts';

/** A shape that lets everything through, so that what refuses is the door itself. */
const anything: Shape<CborValue> = shape(Type.Unsafe<CborValue>({}));

const limits = { bytesMax: 1 << 20, where: 'message' };
const read = (bytes: Uint8Array) => decodeCbor(bytes, anything, limits);
const readHex = (hex: string) => read(fromHex(hex));

const key = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('a', 'b', 'aa', '', '1', '10', 'toString'));
const { value: cborValue } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.maxSafeInteger().map((n) => n + 0),
    fc.integer({ min: -300, max: 300 }),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe('deterministic CBOR', () => {
  it.each([
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [255, '18ff'],
    [256, '190100'],
    [65536, '1a00010000'],
    [2 ** 32, '1b0000000100000000'],
    [Number.MAX_SAFE_INTEGER, '1b001fffffffffffff'],
    [-1, '20'],
    [-25, '3818'],
    [Number.MIN_SAFE_INTEGER, '3b001ffffffffffffe'],
    [true, 'f5'],
    [false, 'f4'],
    [null, 'f6'],
    ['', '60'],
    ['ü', '62c3bc'],
    [Uint8Array.of(1, 2), '420102'],
    [[1, [2]], '82018102'],
    // Bytewise order of the encoded keys (RFC 8949, section 4.2.1): shorter ones first.
    [{ b: 1, aa: 2, a: 3, '': 4 }, 'a4600461610361620162616102'],
  ] as [CborValue, string][])('writes %j as %s and reads it back', (value, hex) => {
    expect(toHex(encodeCbor(value))).toBe(hex);
    expect(readHex(hex)).toEqual(value);
  });

  it('leaves out what is undefined', () => {
    expect(encodeCbor({ a: 1, b: undefined })).toEqual(encodeCbor({ a: 1 }));
  });

  it('reads what it wrote', () => {
    fc.assert(
      fc.property(cborValue, (value) => {
        const bytes = encodeCbor(value);
        const back = read(bytes);
        expect(back).toEqual(value);
        expect(encodeCbor(back)).toEqual(bytes);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it.each(['x\ufeff', '\u0000', '\u{10ffff}', '\ufffd'])('reads the text %j back', (value) => {
    expect(read(encodeCbor(value))).toBe(value);
    expect(read(encodeCbor({ [value]: value }))).toEqual({ [value]: value });
  });

  it('writes and reads as another implementation of the RFC does', () => {
    fc.assert(
      fc.property(cborValue, (value) => {
        const bytes = encodeCbor(value);
        expect(toHex(bytes)).toBe(toHex(encode(value, rfc8949EncodeOptions)));
        expect(read(bytes)).toEqual(decode(bytes, { strict: true }));
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it('does not depend on the order of properties', () => {
    const entries = fc.uniqueArray(fc.tuple(key, fc.integer()), { selector: ([name]) => name, maxLength: 6 });
    fc.assert(
      fc.property(entries, (list) => {
        const forwards = encodeCbor(Object.fromEntries(list));
        expect(encodeCbor(Object.fromEntries(list.toReversed()))).toEqual(forwards);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('gives byte strings that are copies', () => {
    const message = encodeCbor(Uint8Array.of(1, 2, 3));
    const value = read(message) as Uint8Array;
    message.fill(0);
    expect(value).toEqual(Uint8Array.of(1, 2, 3));
  });

  it.each([
    ['a fraction', 1.5],
    ['an unsafe integer', 2 ** 53],
    ['an infinity', Number.POSITIVE_INFINITY],
    ['NaN', Number.NaN],
    ['a fraction inside', { list: [1, { x: 0.1 }] }],
    ['undefined in a list', [undefined as unknown as null]],
    ['a lone surrogate', '\ud800'],
    ['a byte order mark at the start', '\ufeffmark'],
    ['a big number', 1n as unknown as number],
    ['a lone surrogate in a key', { '\udfff': 1 }],
    ['more levels than the door reads', [[[[[[[[[1]]]]]]]]]],
  ] as [string, CborValue][])('is not written for %s, which the door would refuse to read', (_what, value) => {
    expect(codeOf(() => encodeCbor(value))).toBe('malformed');
  });

  it('writes minus zero as zero', () => {
    expect(encodeCbor(-0)).toEqual(encodeCbor(0));
  });
});

describe('the CBOR door', () => {
  const MALFORMED: [string, string][] = [
    ['nothing at all', ''],
    ['an integer cut off', '18'],
    ['a long integer cut off', '1b00000000000000'],
    ['a text cut off', '6261'],
    ['a list cut off', '8201'],
    ['a map cut off after its key', 'a16161'],
    ['bytes after the end', '0000'],
    ['a second item', 'a0a0'],
    ['an integer above 2^53', '1b0020000000000000'],
    ['the largest integer', '1bffffffffffffffff'],
    ['the smallest integer', '3bffffffffffffffff'],
    ['a tag', 'c000'],
    ['a big number by tag', 'c249010000000000000000'],
    ['a self-describing tag', 'd9d9f700'],
    ['a tag with a long number', 'dbffffffffffffffff00'],
    ['undefined', 'f7'],
    ['undefined in a list', '81f7'],
    ['an unassigned simple value', 'e0'],
    ['a simple value in two bytes', 'f8ff'],
    ['false in two bytes', 'f814'],
    ['a half float', 'f93c00'],
    ['NaN', 'f97e00'],
    ['infinity', 'f97c00'],
    ['a single float', 'fa47c35000'],
    ['a double float', 'fb3ff199999999999a'],
    ['an indefinite byte string', '5f4101ff'],
    ['an indefinite text', '7f6161ff'],
    ['an indefinite list', '9f01ff'],
    ['an indefinite map', 'bf616101ff'],
    ['a break alone', 'ff'],
    ['a break in a list', '81ff'],
    ['reserved additional information', '1c'],
    ['reserved lengths', '5d00'],
    ['a byte string of 2^32 bytes', '5b0000000100000000'],
    ['a byte string of 2^64 - 1 bytes', '5bffffffffffffffff00'],
    ['a text of 4 GiB', '7affffffff61'],
    ['a list of 2^64 - 1 items', '9bffffffffffffffff00'],
    ['a list of 2^53 items', '9b002000000000000000'],
    ['a map of 2^63 items', 'bb8000000000000000'],
    ['a map of 2^32 - 1 items', 'baffffffff6161'],
    ['a list with one item too many declared', '8301'],
    ['a repeated key', 'a2616101616102'],
    ['a repeated key inside', '81a2616101616101'],
    ['an integer as key', 'a10101'],
    ['a byte string as key', 'a1416101'],
    ['a list as key', 'a18001'],
    ['null as key', 'a1f601'],
    ['nine levels', '81818181818181818100'],
    ['nine levels of maps', 'a16161'.repeat(9).concat('00')],
  ];

  it.each(MALFORMED)('refuses %s', (_what, hex) => {
    const failure = failureOf(() => readHex(hex));
    expect(failure?.code).toBe('malformed');
    expect(failure?.message).toMatch(/^message: [\x20-\x7e]+$/);
  });

  const NOT_CANONICAL: [string, string][] = [
    ['an unsorted map', 'a2616201616101'],
    ['a map sorted by text and not by encoding', 'a262616101616201'],
    ['an unsorted map inside', '81a2616201616101'],
    ['zero in two bytes', '1800'],
    ['23 in two bytes', '1817'],
    ['255 in three bytes', '1900ff'],
    ['65535 in five bytes', '1a0000ffff'],
    ['1 in nine bytes', '1b0000000000000001'],
    ['-1 in two bytes', '3800'],
    ['a long length of bytes', '580100'],
    ['a long length of text', '780161'],
    ['a long length of a list', '980100'],
    ['a long length of a map', 'b801616100'],
    ['a long length of a key', 'a178016101'],
    ['text that is not UTF-8', '62c328'],
    ['text with a surrogate', '63eda080'],
    ['text in overlong UTF-8', '62c080'],
    ['a key that is not UTF-8', 'a161ff01'],
  ];

  it.each(NOT_CANONICAL)('refuses %s', (_what, hex) => {
    expect(codeOf(() => readHex(hex))).toMatch(/^(malformed|non-canonical)$/);
  });

  it('reads __proto__ as a field like any other, which gives nothing to the object', () => {
    const form = shape(closed({ a: uint() }));
    const hostile = fromHex('a1695f5f70726f746f5f5fa1616101');
    expect(codeOf(() => decodeCbor(hostile, form, limits))).toBe('bad-shape');
    const value = read(hostile) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(value['a']).toBeUndefined();
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  it.each([
    ['lists', '81'],
    ['maps', 'a16161'],
    ['tags', 'c1'],
    ['indefinite lists', '9f'],
    ['indefinite texts', '7f'],
  ])('refuses 100,000 nested %s without exhausting the stack', (_what, opening) => {
    expect(codeOf(() => readHex(`${opening.repeat(100_000)}00`))).toBe('malformed');
    expect(codeOf(() => readHex(opening.repeat(100_000)))).toBe('malformed');
  });

  it('reads eight levels', () => {
    expect(readHex(`${'81'.repeat(8)}00`)).toEqual([[[[[[[[0]]]]]]]]);
  });

  it('refuses what is too long before it looks at it', () => {
    const failure = failureOf(() => decodeCbor(new Uint8Array(11), anything, { bytesMax: 10, where: 'deposit' }));
    expect(failure?.code).toBe('too-large');
    expect(failure?.message).toBe('deposit: 11 bytes, at most 10 are accepted');
    expect(decodeCbor(encodeCbor('123456789'), anything, { bytesMax: 10, where: 'deposit' })).toBe('123456789');
  });

  it('says which field has the wrong shape', () => {
    const form = shape(closed({ id: uint(), names: list(text(3), 2) }));
    const failure = failureOf(() => decodeCbor(encodeCbor({ id: 1, names: ['a', 'long'] }), form, limits));
    expect(failure?.code).toBe('bad-shape');
    expect(failure?.message).toContain('message: field names.1');
  });

  const CODES = ['malformed', 'non-canonical', 'too-large', undefined];
  const edit = fc.record({ at: fc.nat(), kind: fc.nat({ max: 3 }), byte: fc.nat({ max: 255 }) });

  function mutate(bytes: Uint8Array, edits: readonly { at: number; kind: number; byte: number }[]): Uint8Array {
    let out = bytes;
    for (const { at, kind, byte } of edits) {
      const i = at % (out.length + 1);
      const head = out.subarray(0, i);
      if (kind === 0) out = concatBytes(head, Uint8Array.of(byte), out.subarray(i + 1));
      else if (kind === 1) out = concatBytes(head, Uint8Array.of(byte), out.subarray(i));
      else if (kind === 2) out = concatBytes(head, out.subarray(i + 1));
      else out = concatBytes(head, out.subarray(0, byte % (out.length + 1)));
    }
    return out;
  }

  function isCanonicalOrRefused(bytes: Uint8Array): void {
    const code = codeOf(() => read(bytes));
    expect(CODES).toContain(code);
    if (code === undefined) expect(toHex(encodeCbor(read(bytes)))).toBe(toHex(bytes));
  }

  it('answers any altered message with its canonical value or a typed error', () => {
    fc.assert(
      fc.property(cborValue, fc.array(edit, { minLength: 1, maxLength: 4 }), (value, edits) => {
        isCanonicalOrRefused(mutate(encodeCbor(value), edits));
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS / 2) },
    );
  });

  it('answers any message that another encoder wrote, and any bytes, alike', () => {
    const lax = fc.anything({ withTypedArray: true, maxDepth: 3 }).map((value) => {
      try {
        return encode(value);
      } catch {
        return new Uint8Array(0);
      }
    });
    fc.assert(fc.property(fc.oneof(lax, fc.uint8Array({ maxLength: 30 })), isCanonicalOrRefused), {
      numRuns: fuzzRuns(FAMILY_RUNS / 2),
    });
  });
});
