import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bigintToLe,
  compareBytes,
  concatBytes,
  equalBytes,
  fromBase64Url,
  fromHex,
  fromUtf8,
  leToBigint,
  toBase64Url,
  toHex,
  u32be,
  u64be,
  utf8,
} from '../../../src/core/bytes.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';

const bytes = fc.uint8Array({ maxLength: 80 });
const runs = { numRuns: fuzzRuns(500) };
const plain = (buffer: Buffer): Uint8Array => Uint8Array.from(buffer);

describe('hexadecimal', () => {
  it('writes and reads what Buffer does', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const text = toHex(value);
        expect(text).toBe(Buffer.from(value).toString('hex'));
        expect(fromHex(text)).toEqual(value);
        expect(fromHex(text.toUpperCase())).toEqual(value);
      }),
      runs,
    );
  });

  it.each(['0', 'abc', '0x00', 'zz', ' 00', '0g', '00 0', '\u0130\u0130', 'é0', '0１'])('refuses %j', (text) => {
    expect(codeOf(() => fromHex(text))).toBe('bad-hex');
  });

  it('either reads a text so that it is written back alike but for case, or says bad-hex', () => {
    const text = fc.string({ unit: fc.constantFrom(...'09afAFgG x\u0141\uff11'), maxLength: 12 });
    fc.assert(
      fc.property(text, (value) => {
        const valid = value.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(value);
        expect(codeOf(() => fromHex(value))).toBe(valid ? undefined : 'bad-hex');
        if (valid) expect(toHex(fromHex(value))).toBe(value.toLowerCase());
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS / 2) },
    );
  });
});

describe('base64url', () => {
  it('writes and reads what Buffer does', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const text = toBase64Url(value);
        expect(text).toBe(Buffer.from(value).toString('base64url'));
        expect(fromBase64Url(text)).toEqual(value);
      }),
      runs,
    );
  });

  it.each(['A', 'AAAAA', 'AA==', 'AAA=', 'A+A', 'A/A', 'AA ', '\nAA', 'AÄ', 'AA\u0000'])('refuses %j', (text) => {
    expect(codeOf(() => fromBase64Url(text))).toBe('bad-base64url');
  });

  it.each(['AB', 'AP', 'A_', 'AAB', 'AAC', 'AAD'])('refuses %s, whose unused bits are not zero', (text) => {
    expect(Buffer.from(text, 'base64url').length).toBeGreaterThan(0);
    expect(codeOf(() => fromBase64Url(text))).toBe('bad-base64url');
  });

  it('gives each byte string one text: whatever is read is written back as it was', () => {
    const text = fc.string({ unit: fc.constantFrom(...'AQgwBZaz09-_+/= '), maxLength: 12 });
    fc.assert(
      fc.property(text, (value) => {
        const same = Buffer.from(value, 'base64url').toString('base64url') === value;
        expect(codeOf(() => fromBase64Url(value))).toBe(same ? undefined : 'bad-base64url');
        if (same) expect(toBase64Url(fromBase64Url(value))).toBe(value);
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS / 2) },
    );
  });
});

describe('byte strings', () => {
  it('are joined as Buffer joins them, into fresh memory', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 5 }), (parts) => {
        const joined = concatBytes(...parts);
        expect(joined).toEqual(plain(Buffer.concat(parts)));
        expect(parts.some((part) => part.buffer === joined.buffer)).toBe(false);
      }),
      runs,
    );
  });

  it('are ordered and compared as Buffer does it', () => {
    const close = fc.uint8Array({ maxLength: 3, max: 2 });
    fc.assert(
      fc.property(close, close, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
      runs,
    );
  });
});

describe('UTF-8', () => {
  it('reads what it wrote, a byte order mark included', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(text, fc.boolean(), (value, mark) => {
        const whole = mark ? `\ufeff${value}` : value;
        expect(utf8(whole)).toEqual(plain(Buffer.from(whole, 'utf8')));
        expect(fromUtf8(utf8(whole))).toBe(whole);
      }),
      runs,
    );
  });

  it.each(['80', 'c080', 'eda080', 'f4908080', 'e282', 'ff'])('refuses the bytes %s', (hex) => {
    expect(codeOf(() => fromUtf8(fromHex(hex)))).toBe('bad-text');
  });
});

describe('numbers', () => {
  it('in little-endian bytes read back as themselves', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), (value) => {
        const encoded = bigintToLe(value, 32);
        expect(encoded.length).toBe(32);
        expect(leToBigint(encoded)).toBe(value);
        expect(`0x${toHex(encoded.toReversed())}`).toBe(`0x${value.toString(16).padStart(64, '0')}`);
      }),
      runs,
    );
  });

  it('that do not fit are refused', () => {
    expect(codeOf(() => bigintToLe(256n, 1))).toBe('out-of-range');
    expect(codeOf(() => bigintToLe(-1n, 4))).toBe('out-of-range');
    expect(codeOf(() => bigintToLe(1n, 0))).toBe('out-of-range');
    for (const value of [-1, 0.5, 2 ** 53, Number.NaN]) expect(codeOf(() => u64be(value))).toBe('out-of-range');
    for (const value of [-1, 0.5, 2 ** 32, Number.NaN]) expect(codeOf(() => u32be(value))).toBe('out-of-range');
  });

  it('in big-endian bytes are what Buffer writes', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat({ max: 0xffffffff }), (long, short) => {
        const buffer = Buffer.alloc(12);
        buffer.writeBigUInt64BE(BigInt(long));
        buffer.writeUInt32BE(short, 8);
        expect(concatBytes(u64be(long), u32be(short))).toEqual(plain(buffer));
      }),
      runs,
    );
  });
});
