import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xchacha20Poly1305Seal } from '#crypto';
import { concatBytes, u64be } from '../../../../src/core/bytes.ts';
import { encodeCbor } from '../../../../src/core/cbor.ts';
import { clusterIdFromBytes, idBytes, regIdFromBytes } from '../../../../src/core/ids.ts';
import { pad } from '../../../../src/core/padding.ts';
import {
  type IndexSetContent,
  indexSetKey,
  indexSetTag,
  type LookUp,
  openIndexSet,
  paddedIndexSetBytes,
  sealIndexSet,
} from '../../../../src/fmd/index-sets/blob.ts';
import { type Entry, encodeEntries } from '../../../../src/fmd/index-sets/entries.ts';
import { INDEX_SET_BYTES_MIN } from '../../../../src/fmd/index-sets/limits.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

const random = seededRandom('blob tests');
const key = indexSetKey(random.bytes(32));
const lookUp: LookUp = {
  clusterId: clusterIdFromBytes(random.bytes(32)),
  regId: regIdFromBytes(random.bytes(32)),
  since: 99,
};
const entriesUpTo = (count: number): Entry[] => Array.from({ length: count }, (_, i) => [100 + i, i % 7]);
const content = (count: number): IndexSetContent => ({
  birthday: 7,
  first: 3,
  covered: [[100, 100_000]],
  syncedTo: 100_000,
  entries: encodeEntries(entriesUpTo(count), 99),
});
const seal = (what: IndexSetContent, where = lookUp) => sealIndexSet({ random }, key, where, what);

/** An answer as a holder of the key could make it, well or badly. */
function sealRaw(plaintext: Uint8Array, size = paddedIndexSetBytes(plaintext.length)) {
  const nonce = random.bytes(24);
  const aad = concatBytes(idBytes(lookUp.clusterId), idBytes(lookUp.regId), u64be(lookUp.since));
  return { nonce, ciphertext: xchacha20Poly1305Seal(key, nonce, pad(plaintext, size), aad) };
}

describe('look-up blobs', () => {
  it('open to what was sealed, and only for the same cluster, id, since and key', () => {
    const sealed = seal(content(40));
    expect(openIndexSet(key, lookUp, sealed)).toEqual({
      since: 99,
      birthday: 7,
      first: 3,
      covered: [[100, 100_000]],
      syncedTo: 100_000,
      entries: entriesUpTo(40),
    });
    const others: [Uint8Array, LookUp][] = [
      [indexSetKey(random.bytes(32)), lookUp],
      [key, { ...lookUp, since: 98 }],
      [key, { ...lookUp, regId: regIdFromBytes(random.bytes(32)) }],
      [key, { ...lookUp, clusterId: clusterIdFromBytes(random.bytes(32)) }],
    ];
    for (const [otherKey, where] of others) {
      expect(() => openIndexSet(otherKey, where, sealed)).toThrow(expect.objectContaining({ code: 'index-set-open' }));
    }
  });

  it('have a fresh nonce each, and one size whether something matched or not', () => {
    const answers = [0, 1, 40, 1000].map((count) => seal(content(count)));
    expect(new Set(answers.map(({ nonce }) => nonce.join())).size).toBe(4);
    expect(new Set(answers.map(({ ciphertext }) => ciphertext.length))).toEqual(new Set([INDEX_SET_BYTES_MIN + 16]));
  });

  it('grow in steps of at most 12 %', () => {
    for (let length = 0; length < 100_000; length += 37) {
      const padded = paddedIndexSetBytes(length);
      expect(padded).toBeGreaterThan(length);
      expect(padded).toBeLessThanOrEqual(Math.max(INDEX_SET_BYTES_MIN, 1.12 * (length + 1)));
    }
  });

  it('are refused after any change', () => {
    const sealed = seal(content(3));
    fc.assert(
      fc.property(fc.nat(sealed.ciphertext.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const ciphertext = sealed.ciphertext.slice();
        ciphertext[at] = ciphertext[at]! ^ flip;
        expect(() => openIndexSet(key, lookUp, { ...sealed, ciphertext })).toThrow(/not authentic/);
      }),
      { numRuns: fuzzRuns(50) },
    );
    const cut = { ...sealed, ciphertext: sealed.ciphertext.subarray(1) };
    for (const bad of [
      cut,
      { ...sealed, nonce: random.bytes(12) },
      { nonce: sealed.nonce, ciphertext: new Uint8Array(3) },
    ]) {
      expect(() => openIndexSet(key, lookUp, bad)).toThrow(expect.objectContaining({ code: 'index-set-open' }));
    }
  });

  it('are refused if a holder of the key made them wrongly', () => {
    const good = { ...content(2) };
    expect(openIndexSet(key, lookUp, sealRaw(encodeCbor(good))).entries).toEqual(entriesUpTo(2));
    const { first: _first, ...withoutFirst } = good;
    const { birthday: _birthday, ...withoutBirthday } = good;
    const wrong = [
      {
        ...good,
        covered: [
          [100, 200],
          [150, 300],
        ],
        syncedTo: 200,
      },
      { ...good, covered: [[99, 200]], syncedTo: 200 },
      { ...good, syncedTo: 98, covered: [] },
      { ...good, syncedTo: 500 },
      { ...good, syncedTo: 100_001 },
      { ...good, first: 101 },
      { ...good, birthday: 101 },
      { ...good, first: 101, covered: [[101, 200]], syncedTo: 200 },
      { ...good, birthday: 500, covered: [], entries: Uint8Array.of(), syncedTo: 100 },
      { ...good, first: -1 },
      { ...good, first: 2 ** 48 + 1 },
      { ...good, birthday: '7' },
      withoutFirst,
      withoutBirthday,
      { ...good, covered: [[100]] },
      { ...good, more: 1 },
      { ...good, entries: Uint8Array.of(0, 0) },
    ];
    for (const value of wrong) {
      expect(() => openIndexSet(key, lookUp, sealRaw(encodeCbor(value)))).toThrow(
        expect.objectContaining({ name: 'KithError' }),
      );
    }
    expect(() => openIndexSet(key, lookUp, sealRaw(encodeCbor(good), 8192))).toThrow(/another size/);
  });

  it('have an entity tag of id, since and syncedTo alone', () => {
    const tags = [
      indexSetTag(lookUp.regId, 1, 2),
      indexSetTag(lookUp.regId, 2, 1),
      indexSetTag(lookUp.regId, 1, 3),
      indexSetTag(regIdFromBytes(random.bytes(32)), 1, 2),
    ];
    expect(new Set(tags).size).toBe(4);
    for (const tag of tags) expect(tag).toMatch(/^"[\w-]{22}"$/);
  });
});
