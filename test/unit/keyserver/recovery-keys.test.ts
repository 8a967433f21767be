import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import { encodeCbor } from '../../../src/core/cbor.ts';
import { hpkeGenerateKeyPair, hpkeSetupRecipient } from '../../../src/core/hpke.ts';
import { clusterIdFromBytes, idBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { Secret } from '../../../src/core/secret.ts';
import { RECOVERY_KEYS_MAX, RECOVERY_WRAP_BYTES_MAX } from '../../../src/keyserver/limits.ts';
import { createRecoveryCollector, type ShareEntered } from '../../../src/keyserver/recovery-collector.ts';
import {
  decodeRecoveryShare,
  encodeRecoveryShare,
  openRecoveryShare,
  type RecoveryShare,
  wrapToRecoveryKeys,
} from '../../../src/keyserver/recovery-keys.ts';
import { listRecoveryShares, parseRecoveryWrap, wrappedFor } from '../../../src/keyserver/recovery-wrap.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';
import { forgeKeyCommitment, recoveryBench } from '../../support/recovery.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const refused = (reason: string): ShareEntered => ({ kind: 'refused', reason }) as ShareEntered;
const waiting: ShareEntered = { kind: 'taken', dataKey: undefined };
const copy = (share: RecoveryShare, over: Partial<RecoveryShare> = {}): RecoveryShare => ({
  ...share,
  value: Secret.copy(share.value.expose()),
  ...over,
});

describe('a data key under recovery keys', () => {
  it('comes back with exactly k shares, whichever, for every k of m up to 5, and with no fewer', () => {
    for (let keys = 1; keys <= 5; keys++) {
      for (let threshold = 1; threshold <= keys; threshold++) {
        const bench = recoveryBench({ threshold, keys });
        for (let subset = 0; subset < 2 ** keys; subset++) {
          const indices = bench.holders.map((_, i) => i + 1).filter((index) => (subset >> (index - 1)) & 1);
          if (indices.length !== threshold) continue;
          const collector = createRecoveryCollector(bench.wrapped, bench.context);
          const outcomes = indices.toReversed().map((index) => collector.enter(bench.share(index)));
          expect(outcomes.slice(0, -1)).toEqual(Array.from({ length: threshold - 1 }, () => waiting));
          const last = outcomes.at(-1)!;
          expect(last.kind === 'taken' && last.dataKey?.equals(bench.dataKey)).toBe(true);
          expect([collector.entered, collector.needed]).toEqual([threshold, threshold]);
        }
      }
    }
  });

  it('fits the header of a store with as many recovery keys as a configuration may have', () => {
    const bench = recoveryBench({ threshold: 33, keys: RECOVERY_KEYS_MAX });
    expect(bench.wrapped.length).toBeLessThanOrEqual(RECOVERY_WRAP_BYTES_MAX);
    expect(bench.wrapped.length).toBe(7_887);
    const collector = createRecoveryCollector(bench.wrapped, bench.context);
    const last = Array.from({ length: 33 }, (_, i) => collector.enter(bench.share(64 - i))).at(-1)!;
    expect(last.kind === 'taken' && last.dataKey?.equals(bench.dataKey)).toBe(true);
  });

  it('says how many shares there are, and whether they are for the keys of a configuration', () => {
    const { wrapped, publicKeys } = recoveryBench({ threshold: 2, keys: 3 });
    const { threshold, shares } = listRecoveryShares(wrapped);
    expect([threshold, shares.map(({ index }) => index)]).toEqual([2, [1, 2, 3]]);
    expect(wrappedFor(wrapped, publicKeys, 2)).toBe(true);
    expect(wrappedFor(wrapped, publicKeys, 3)).toBe(false);
    expect(wrappedFor(wrapped, publicKeys.slice(1), 2)).toBe(false);
    expect(wrappedFor(wrapped, publicKeys.toReversed(), 2)).toBe(false);
  });

  it('holds nothing of the key or the shares in the clear', () => {
    const bench = recoveryBench({ threshold: 2, keys: 3 });
    const secrets = [bench.dataKey, ...[1, 2, 3].map((index) => bench.share(index).value)];
    const whole = Buffer.from(bench.wrapped);
    for (const secret of secrets) expect(whole.includes(Buffer.from(secret.expose().subarray(0, 16)))).toBe(false);
    expect(whole.includes(Buffer.from(bench.storeId))).toBe(false);
  });

  it('has the bytes of docs/RECOVERY.md', () => {
    const bench = recoveryBench({ threshold: 2, keys: 3 });
    const { storeIdHash } = bench.context;
    const [clusterId, nodeId] = [idBytes(bench.context.clusterId), idBytes(bench.context.nodeId)];
    const hash = (label: string, ...parts: Uint8Array[]) => sha256(concatBytes(utf8(label), ...parts));
    const inContext = (label: string, ...parts: Uint8Array[]) => hash(label, clusterId, nodeId, storeIdHash, ...parts);
    const keyCommitment = inContext('kith/data-key-commitment/v1', bench.dataKey.expose());
    const shares = bench.publicKeys.map((publicKey, i) => {
      const value = bench.share(i + 1).value.expose();
      const tag = hash('kith/recovery-key-tag/v1', publicKey).slice(0, 8);
      const place = Uint8Array.of(2, i + 1);
      return { value, tag, commitment: inContext('kith/recovery-share-commitment/v1', keyCommitment, place, value) };
    });
    const named = { clusterId, nodeId, storeIdHash, threshold: 2, keyCommitment };
    const tagged = shares.map(({ tag, commitment }) => concatBytes(tag, commitment));
    const wrapId = hash('kith/recovery-wrap/v1', encodeCbor({ ...named, shares: tagged }));
    expect(bench.share(1).wrapId).toEqual(wrapId);
    const entries = parseRecoveryWrap(bench.wrapped).shares.map(({ enc, sealed }, i) => {
      const { value, tag, commitment } = shares[i]!;
      const publicKey = bench.publicKeys[i]!;
      const label = 'kith/recovery-share/v1';
      const info = encodeCbor({ label, wrapId, clusterId, nodeId, storeIdHash, publicKey, index: i + 1 });
      expect(hpkeSetupRecipient(bench.holders[i]!, enc, info).open(new Uint8Array(0), sealed)).toEqual(value);
      return concatBytes(tag, enc, sealed, commitment);
    });
    expect(bench.wrapped).toEqual(encodeCbor({ version: 1, threshold: 2, keyCommitment, shares: entries }));
  });

  it('is refused for keys it cannot be wrapped to', () => {
    const random = seededRandom('keys');
    const key = () => hpkeGenerateKeyPair(random).publicKey;
    const twice = key();
    const attempt = (publicKeys: Uint8Array[], threshold: number, dataKeyBytes = 32) =>
      codeOf(() =>
        wrapToRecoveryKeys(
          { random },
          {
            ...recoveryBench({ threshold: 1, keys: 1 }).context,
            dataKey: Secret.own(new Uint8Array(dataKeyBytes)),
            storeId: new Uint8Array(32),
            publicKeys,
            threshold,
          },
        ),
      );
    expect(attempt([], 0)).toBe('bad-recovery-keys');
    expect(attempt([key(), key()], 3)).toBe('bad-recovery-keys');
    expect(attempt([key(), key()], 0)).toBe('bad-recovery-keys');
    expect(attempt([key(), key()], 1.5)).toBe('bad-recovery-keys');
    expect(attempt([key().slice(1)], 1)).toBe('bad-recovery-keys');
    expect(attempt([new Uint8Array(32)], 1)).toBe('bad-recovery-keys');
    expect(attempt([twice, key(), twice], 2)).toBe('bad-recovery-keys');
    expect(attempt(Array.from({ length: 65 }, key), 2)).toBe('bad-recovery-keys');
    expect(attempt([key()], 1, 31)).toBe('bad-split');
    expect(attempt([key(), key()], 2)).toBeUndefined();
  });
});

describe('opening a recovery share', () => {
  const bench = recoveryBench({ threshold: 2, keys: 3 });
  const open = (wrapped: Uint8Array, context = bench.context, holder = 0) =>
    codeOf(() => openRecoveryShare(Secret.copy(bench.holders[holder]!.secretKey), wrapped, context));

  it('is for holders only, and for the cluster, node and store it was made for', () => {
    const stranger = Secret.own(hpkeGenerateKeyPair(seededRandom('stranger')).secretKey);
    expect(codeOf(() => openRecoveryShare(stranger, bench.wrapped, bench.context))).toBe('not-a-holder');
    const other = new Uint8Array(32).fill(7);
    expect(open(bench.wrapped, { ...bench.context, clusterId: clusterIdFromBytes(other) })).toBe('bad-recovery-share');
    expect(open(bench.wrapped, { ...bench.context, nodeId: nodeIdFromBytes(other) })).toBe('bad-recovery-share');
    expect(open(bench.wrapped, { ...bench.context, storeIdHash: other })).toBe('bad-recovery-share');
    expect(open(bench.wrapped)).toBeUndefined();
  });

  it('fails if any byte of the wrapped key was changed, wherever it stands', () => {
    for (let at = 0; at < bench.wrapped.length; at++) {
      const altered = bench.wrapped.slice();
      altered[at]! ^= 1;
      const code = open(altered);
      // The other holders' sealed shares and encapsulated keys are theirs to notice.
      const noticed = code ?? open(altered, bench.context, 1) ?? open(altered, bench.context, 2);
      expect(noticed).toBeDefined();
      expect(['bad-recovery-wrap', 'not-a-holder', 'bad-recovery-share', undefined]).toContain(code);
    }
  });

  it('fails for a wrapping cut anywhere, lengthened, or of other bytes', () => {
    for (let length = 0; length < bench.wrapped.length; length++) {
      expect(open(bench.wrapped.slice(0, length))).toBe('bad-recovery-wrap');
    }
    expect(open(Uint8Array.of(...bench.wrapped, 0))).toBe('bad-recovery-wrap');
    expect(open(new Uint8Array(RECOVERY_WRAP_BYTES_MAX + 1))).toBe('bad-recovery-wrap');
    const { threshold, keyCommitment } = parseRecoveryWrap(bench.wrapped);
    const shares = [new Uint8Array(120)];
    expect([threshold, open(encodeCbor({ version: 1, threshold, keyCommitment, shares }))]).toEqual([
      2,
      'bad-recovery-wrap',
    ]);
    expect(open(encodeCbor({ version: 2, threshold: 1, keyCommitment, shares }))).toBe('bad-recovery-wrap');
    expect(open(encodeCbor({ version: 1, threshold: 1, keyCommitment, shares }))).toBe('not-a-holder');
  });

  it('never ends in anything but a typed error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(open(bytes)).toBe('bad-recovery-wrap');
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('fails if the shares of two holders were swapped', () => {
    const swapped = recoveryBench({ threshold: 2, keys: 3 }).wrapped;
    const at = (index: number) =>
      Buffer.from(swapped).indexOf(Buffer.from(parseRecoveryWrap(bench.wrapped).shares[index - 1]!.keyTag));
    const [first, second] = [at(1), at(2)];
    const [one, two] = [swapped.slice(first, first + 120), swapped.slice(second, second + 120)];
    swapped.set(two, first);
    swapped.set(one, second);
    expect(parseRecoveryWrap(swapped).shares[0]!.keyTag).toEqual(two.subarray(0, 8));
    expect(open(swapped)).toBe('bad-recovery-share');
  });
});

describe('collecting recovery shares', () => {
  const bench = recoveryBench({ threshold: 2, keys: 3 });
  const collector = () => createRecoveryCollector(bench.wrapped, bench.context);

  it('refuses by name a share of another store, of another wrapping, altered, moved, or entered twice', () => {
    const collecting = collector();
    const foreign = recoveryBench({ threshold: 2, keys: 3, seed: 'another store' });
    const older = recoveryBench({ threshold: 2, keys: 3, wrapping: 'older' });
    expect(older.dataKey.equals(bench.dataKey)).toBe(true);
    expect(collecting.enter(foreign.share(1))).toEqual(refused('wrong-store'));
    expect(collecting.enter(older.share(1))).toEqual(refused('other-wrap'));
    const relabelled = copy(older.share(1), { wrapId: bench.share(1).wrapId });
    expect(collecting.enter(relabelled)).toEqual(refused('bad-share'));
    expect(collecting.enter(copy(bench.share(1), { index: 2 }))).toEqual(refused('bad-share'));
    expect(collecting.enter(copy(bench.share(1), { index: 4 }))).toEqual(refused('bad-share'));
    expect(collecting.enter(copy(bench.share(1), { index: 0 }))).toEqual(refused('bad-share'));
    const altered = bench.share(1);
    altered.value.expose()[31]! ^= 1;
    expect(collecting.enter(altered)).toEqual(refused('bad-share'));
    expect(collecting.entered).toBe(0);
    expect(collecting.enter(bench.share(1))).toEqual(waiting);
    expect(collecting.enter(bench.share(1))).toEqual(refused('duplicate'));
    expect([collecting.entered, collecting.needed]).toEqual([1, 2]);
    const last = collecting.enter(bench.share(3));
    expect(last.kind === 'taken' && last.dataKey?.equals(bench.dataKey)).toBe(true);
    expect(collecting.enter(bench.share(2))).toEqual(refused('closed'));
  });

  it('names a wrapping whose shares are as committed and do not give the committed key', () => {
    // Only who makes a wrapping can do this; there is no k-1 to hide behind, so k is 1.
    const honest = recoveryBench({ threshold: 1, keys: 1 });
    const forged = forgeKeyCommitment(honest);
    const collecting = createRecoveryCollector(forged.wrapped, honest.context);
    expect(collecting.enter(forged.share())).toEqual(refused('bad-wrap'));
    expect(collecting.enter(forged.share())).toEqual(refused('bad-wrap'));
    expect(collecting.entered).toBe(0);
  });

  it('wipes what it refuses, what it used and what it is told to forget', () => {
    const collecting = collector();
    const [first, again] = [bench.share(1), bench.share(1)];
    collecting.enter(first);
    collecting.enter(again);
    expect([first.value.wiped, again.value.wiped]).toEqual([false, true]);
    const last = bench.share(2);
    collecting.enter(last);
    expect([first.value.wiped, last.value.wiped]).toEqual([true, true]);
    const forgetting = collector();
    const kept = bench.share(1);
    forgetting.enter(kept);
    forgetting.wipe();
    forgetting.wipe();
    expect([kept.value.wiped, forgetting.entered]).toEqual([true, 0]);
    expect(forgetting.enter(bench.share(2))).toEqual(refused('closed'));
  });

  it('begins only with a wrapping it can read', () => {
    expect(codeOf(() => createRecoveryCollector(Uint8Array.of(1), bench.context))).toBe('bad-recovery-wrap');
  });
});

describe('a recovery share on its way', () => {
  const bench = recoveryBench({ threshold: 1, keys: 1 });

  it('is the same after reading as before writing', () => {
    const share = bench.share(1);
    const read = decodeRecoveryShare(encodeRecoveryShare(share));
    expect([read.wrapId, read.storeIdHash, read.index]).toEqual([share.wrapId, share.storeIdHash, 1]);
    expect(read.value.equals(share.value)).toBe(true);
  });

  it('is refused cut, lengthened, too long, with another index or not canonical', () => {
    const encoded = encodeRecoveryShare(bench.share(1));
    for (let length = 0; length < encoded.length; length++) {
      expect(codeOf(() => decodeRecoveryShare(encoded.slice(0, length)))).toBe('malformed');
    }
    const { wrapId, storeIdHash, value } = bench.share(1);
    const withIndex = (index: number) => encodeCbor({ wrapId, storeIdHash, index, value: value.expose() });
    expect(codeOf(() => decodeRecoveryShare(withIndex(0)))).toBe('bad-shape');
    expect(codeOf(() => decodeRecoveryShare(withIndex(65)))).toBe('bad-shape');
    expect(codeOf(() => decodeRecoveryShare(withIndex(64)))).toBeUndefined();
    expect(codeOf(() => decodeRecoveryShare(new Uint8Array(257)))).toBe('too-large');
  });
});
