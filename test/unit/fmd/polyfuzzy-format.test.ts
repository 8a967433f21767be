import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import {
  readDetectionKey,
  readFlag,
  readSecretKey,
  readSubkeys,
  writeDetectionKey,
  writeFlag,
} from '../../../src/fmd/polyfuzzy-format.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { fmdVectors } from '../../support/vectors.ts';

const { master } = fmdVectors().samples;
const flagCbor = fromHex(master['flag_cbor']!);
const keyCbor = fromHex(master['detection_key_cbor']!);

describe('the serde forms', () => {
  it.each([
    ['nesting that would exhaust a recursive decoder', new Uint8Array(30_000).fill(0x81)],
    ['more than any of the values can need', new Uint8Array(40_000)],
    ['a declared length beyond the input', fromHex('9affffffff00')],
    [
      'numbers longer than they need be',
      concatBytes(fromHex('9820'), ...Array.from({ length: 32 }, () => fromHex('1800'))),
    ],
    ['bytes after the end', concatBytes(flagCbor, Uint8Array.of(0))],
    ['nothing', new Uint8Array(0)],
  ])('refuse %s', (_name, bytes) => {
    for (const read of [readSecretKey, readSubkeys]) {
      expect(() => read(bytes, 'cbor')).toThrow(expect.objectContaining({ name: 'KithError' }));
    }
    expect(() => readFlag(bytes, 'cbor', 8)).toThrow(expect.objectContaining({ name: 'KithError' }));
  });

  it('refuse white space in JSON and unequal lists', () => {
    expect(() => readFlag(utf8(` ${master['flag_json']}`), 'json', 8)).toThrow(/not written as polyfuzzy/);
    expect(() => readDetectionKey(utf8('{"subkeys":[],"indices":[]}'), 'json', 8)).toThrow(/subkeys/);
    const uneven = master['detection_key_json']!.replace('"indices":[0,1]', '"indices":[0]');
    expect(() => readDetectionKey(utf8(uneven), 'json', 8)).toThrow(/2 subkeys but 1 indices/);
  });

  it('answer every mutation with a value that is written as the very same bytes (keys: once sorted), or with a typed error', () => {
    const families = [
      { good: flagCbor, roundTrip: (bytes: Uint8Array) => writeFlag(readFlag(bytes, 'cbor', 8), 'cbor') },
      {
        good: keyCbor,
        roundTrip: (bytes: Uint8Array) => writeDetectionKey(readDetectionKey(bytes, 'cbor', 8), 'cbor'),
      },
    ];
    const edit = fc.tuple(fc.nat(400), fc.nat(255));
    fc.assert(
      fc.property(fc.constantFrom(...families), fc.array(edit, { minLength: 1, maxLength: 4 }), (family, edits) => {
        const bytes = family.good.slice();
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        try {
          const written = family.roundTrip(bytes);
          expect(toHex(family.roundTrip(written))).toBe(toHex(written));
          if (family.good === flagCbor) expect(toHex(written)).toBe(toHex(bytes));
        } catch (error) {
          if (!isKithError(error)) throw error;
        }
      }),
      { numRuns: fuzzRuns(10_000) },
    );
  });
});
