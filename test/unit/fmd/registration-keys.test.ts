import { describe, expect, it } from 'vitest';
import * as browser from '../../../src/fmd/browser.ts';
import { encodeScalar, GROUP_ORDER } from '../../../src/fmd/group.ts';
import { canonicalDetectionKey, makeDetectionKey } from '../../../src/fmd/keys.ts';
import { parseDetectionKey, registrationKeys } from '../../../src/fmd/registration-keys.ts';
import { deriveSeedKeys, seedDetectionKey } from '../../../src/fmd/seed.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('registration key tests');
const seed = random.bytes(32);
const derived = deriveSeedKeys(seed);

describe('registration keys', () => {
  it('are the same from a seed as from the keys that a wallet derived of it', () => {
    for (const n of [1, 8, 20]) {
      const detectionKey = canonicalDetectionKey(seedDetectionKey(derived, n));
      const expected = { dataKey: derived.dataKey, detectionKey };
      expect(registrationKeys({ kind: 'seed', seed, n })).toEqual(expected);
      expect(registrationKeys({ kind: 'keys', ...expected })).toEqual(expected);
    }
  });

  it('come from canonical bytes only: length, order, range, scalars', () => {
    const key = makeDetectionKey([3, 7, 11].map((index) => ({ index, subkey: encodeScalar(BigInt(index)) })));
    const canonical = canonicalDetectionKey(key);
    expect(parseDetectionKey(canonical)).toEqual(key);
    const changed = (at: number, value: number) => canonical.map((byte, i) => (i === at ? value : byte));
    const large = canonical.slice();
    large.set(
      encodeScalar(GROUP_ORDER - 1n).map((byte, i) => (i === 0 ? byte + 1 : byte)),
      2,
    );
    const wrong = [
      new Uint8Array(0),
      Uint8Array.of(0),
      canonical.subarray(1),
      canonical.subarray(0, -1),
      changed(0, 2),
      changed(1, 7),
      changed(1, 8),
      changed(67, 20),
      large,
    ];
    for (const detectionKey of wrong) {
      expect(registrationKeys({ kind: 'keys', dataKey: derived.dataKey, detectionKey })).toBeUndefined();
    }
    for (const n of [0, 21]) expect(registrationKeys({ kind: 'seed', seed, n })).toBeUndefined();
  });

  it('reach wallets through the browser door, with what opens an index set', () => {
    expect(Object.keys(browser)).toEqual(
      expect.arrayContaining([
        'registrationKeys',
        'deriveAuthSecret',
        'canonicalDetectionKey',
        'openIndexSet',
        'mergeViews',
      ]),
    );
  });
});
