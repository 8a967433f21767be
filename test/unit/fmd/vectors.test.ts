import { describe, expect, it } from 'vitest';
import { fromHex, fromUtf8, toHex, utf8 } from '../../../src/core/bytes.ts';
import { detect, prepareFlag, prepareKey } from '../../../src/fmd/detect.ts';
import { decodeFlagBorsh, encodeFlagBorsh, equalFlags } from '../../../src/fmd/flag.ts';
import { encodeScalar, Point } from '../../../src/fmd/group.ts';
import {
  decodePublicKey,
  decodeSecretKey,
  deriveDetectionKey,
  encodePublicKey,
  expandSecretKey,
  publicKeyOf,
  publicSubkey,
  uniformBasepoint,
} from '../../../src/fmd/keys.ts';
import {
  readDetectionKey,
  readFlag,
  readPublicKey,
  readSecretKey,
  readSubkeys,
  writeDetectionKey,
  writeFlag,
  writePublicKey,
  writeSecretKey,
  writeSubkeys,
} from '../../../src/fmd/polyfuzzy-format.ts';
import { flagOfParts, naiveDetect, naiveKeyBits } from '../../support/fmd.ts';
import { type FmdCase, fmdVectors } from '../../support/vectors.ts';

const { cases, samples } = fmdVectors();

const secretOf = (vector: FmdCase) => decodeSecretKey(vector.compact_sk.map(fromHex));
/** The tags of the vectors are the 64 uniform bytes themselves. */
const basepointOf = ({ tag }: FmdCase) => (tag === '' ? Point.BASE : uniformBasepoint(fromHex(tag)));
const keyOf = (vector: FmdCase) => deriveDetectionKey(secretOf(vector), vector.indices, vector.gamma);
const flagOf = ({ gamma, flag }: FmdCase) =>
  flagOfParts(gamma, fromHex(flag.basepoint_ch), fromHex(flag.u), fromHex(flag.y), fromHex(flag.c));

describe('the vectors of polyfuzzy 0.5.0', () => {
  it('has 140 cases of all kinds', () => {
    expect(cases.length).toBe(140);
    expect(new Set(cases.map(({ kind }) => kind)).size).toBe(4);
  });

  it('expands every compact secret key to the same subkeys', () => {
    for (const vector of cases) {
      expect(expandSecretKey(secretOf(vector), vector.gamma).map(encodeScalar).map(toHex)).toEqual(vector.expanded_sk);
    }
  });

  it('computes the same (diversified) compact public keys, and subkeys that fit them', () => {
    // In the cases of kind "other" the public key is that of the flag's receiver, whose secret is not part of them.
    for (const vector of cases.filter(({ kind }) => kind !== 'other')) {
      const basepoint = basepointOf(vector);
      const publicKey = publicKeyOf(secretOf(vector), basepoint);
      expect(encodePublicKey(publicKey).map(toHex).join('')).toBe(vector.compact_pk);
      const decoded = decodePublicKey(encodePublicKey(publicKey), basepoint);
      const x = expandSecretKey(secretOf(vector), vector.gamma)[vector.gamma - 1]!;
      expect(publicSubkey(decoded, vector.gamma - 1).equals(basepoint.multiply(x))).toBe(true);
    }
  });

  it('extracts the same detection keys, whatever the order of the indices', () => {
    for (const vector of cases) {
      const expected = new Map(vector.indices.map((index, i) => [index, vector.subkeys[i]]));
      const key = keyOf(vector);
      expect(key.indices).toEqual([...vector.indices].sort((a, b) => a - b));
      key.indices.forEach((index, i) => {
        expect(toHex(key.subkeys[i]!)).toBe(expected.get(index));
      });
    }
  });

  it('computes the same hash bits and answers every case as the paper does', () => {
    for (const vector of cases) {
      const key = keyOf(vector);
      const flag = flagOf(vector);
      const bitOf = new Map(vector.indices.map((index, i) => [index, vector.k[i]]));
      expect(naiveKeyBits(flag, key)).toEqual(key.indices.map((index) => bitOf.get(index)));
      expect(naiveDetect(flag, key)).toBe(vector.detect_spec);
      expect(detect(prepareFlag(flag), [prepareKey(key)])).toEqual([vector.detect_spec]);
      expect(detect(prepareFlag(flag, 1000), [prepareKey(key)])).toEqual([vector.detect_spec]);
    }
  });

  it('loses no flag that polyfuzzy finds for its owner', () => {
    for (const vector of cases.filter(({ kind }) => kind.startsWith('own'))) expect(vector.detect_spec).toBe(true);
  });
});

describe.each(['master', 'randomized'] as const)('the %s samples of all encodings', (kind) => {
  const sample = samples[kind];
  const vector = cases.find(
    (candidate) => candidate.kind === `own-${kind}` && sample['flag_json'] === jsonFlag(candidate),
  )!;

  function jsonFlag(candidate: FmdCase): string {
    return fromUtf8(writeFlag(flagOf(candidate), 'json'));
  }

  it.each(['json', 'cbor'] as const)('round-trips byte for byte as %s', (form) => {
    const encoded = (name: string): Uint8Array =>
      form === 'json' ? utf8(sample[`${name}_json`]!) : fromHex(sample[`${name}_cbor`]!);
    const roundTrips: [string, (bytes: Uint8Array) => Uint8Array][] = [
      ['compact_secret_key', (bytes) => writeSecretKey(readSecretKey(bytes, form), form)],
      ['compressed_compact_public_key', (bytes) => writePublicKey(readPublicKey(bytes, form), form)],
      ['fmd_secret_key', (bytes) => writeSubkeys(readSubkeys(bytes, form), form)],
      ['detection_key', (bytes) => writeDetectionKey(readDetectionKey(bytes, form, vector.gamma), form)],
      ['flag', (bytes) => writeFlag(readFlag(bytes, form, vector.gamma), form)],
    ];
    expect(roundTrips.length * 2).toBe(Object.keys(sample).length);
    for (const [name, roundTrip] of roundTrips)
      expect(toHex(roundTrip(encoded(name))), name).toBe(toHex(encoded(name)));
  });

  it('describe the case they were taken from', () => {
    expect(equalFlags(readFlag(utf8(sample['flag_json']!), 'json', vector.gamma), flagOf(vector))).toBe(true);
    expect(readDetectionKey(utf8(sample['detection_key_json']!), 'json', vector.gamma)).toEqual(keyOf(vector));
  });
});

describe('the Borsh form', () => {
  it('round-trips flags of gamma 20 and refuses others', () => {
    for (const vector of cases) {
      const flag = flagOf(vector);
      if (vector.gamma === 20) expect(equalFlags(decodeFlagBorsh(encodeFlagBorsh(flag)), flag)).toBe(true);
      else expect(() => encodeFlagBorsh(flag)).toThrow(/gamma 20/);
    }
  });
});
