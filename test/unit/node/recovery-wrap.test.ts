import { describe, expect, it } from 'vitest';
import { toBase64Url } from '../../../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../../../src/core/hpke.ts';
import { Secret } from '../../../src/core/secret.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { openRecoveryShare, storeIdHashOf, wrappedFor } from '../../../src/keyserver/index.ts';
import { combineShares } from '../../../src/keyserver/shares.ts';
import { recoveryKeysOf, recoveryWrapFor } from '../../../src/node/recovery-wrap.ts';
import { createMemoryDisk, openSealedStoreWithDataKey, readHeader } from '../../../src/node/store/index.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { makeStore, testDeps, testNode } from '../../support/sealed-store.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { createTestDisk, type TestDisk } from '../../support/test-disk.ts';
import { createTestNode } from '../../support/test-node.ts';

const LINES = madeUpLines(100, 5);
const holders = [1, 2, 3].map((i) => hpkeGenerateKeyPair(seededRandom(`recovery holder ${i}`)));
const clusterOf = (threshold: number, keys = holders) =>
  testCluster({ recovery: { threshold, publicKeys: keys.map(({ publicKey }) => toBase64Url(publicKey)) } });
const headerOn = async (disk: TestDisk) => readHeader(await disk.header.read());

const newStore = async () => (await makeStore(createMemoryDisk().open(), testNode())).store;

/** A boot on this disk that is ready, and its end. */
async function bootOnce(disk: TestDisk, cluster = clusterOf(2), keys?: ReturnType<typeof createTestNode>['keys']) {
  const devnet = createDevnet({ replay: replayOf(LINES) });
  const test = createTestNode({ devnet, disk, cluster, ...(keys ? { keys } : {}) });
  await test.ready();
  await test.clock.settle(test.node.stop());
  return test.keys;
}

describe('the header of a store', () => {
  it('has its data key under the recovery keys of the configuration', async () => {
    const disk = createTestDisk();
    await bootOnce(disk);
    const header = await headerOn(disk);
    const context = { ...header, storeIdHash: storeIdHashOf(header.storeId) };
    const shares = [holders[2]!, holders[0]!].map(({ secretKey }) =>
      openRecoveryShare(Secret.copy(secretKey), header.recoveryWrappedDataKey!, context),
    );
    const dataKey = combineShares(shares, 2);
    const store = await openSealedStoreWithDataKey(testDeps(disk.sealed.open()), { header, dataKey });
    expect(store.identity.nodeId).toBe(header.nodeId);
    await store.close();
  });

  it('keeps the wrapping while the recovery keys are the same, and has another for others', async () => {
    const store = await newStore();
    const random = seededRandom('wraps');
    const [keys, fewer] = [clusterOf(2), clusterOf(1)].map((cluster) => recoveryKeysOf(cluster));
    const others = recoveryKeysOf(clusterOf(2, holders.toReversed()));
    const first = recoveryWrapFor({ random }, store, keys, undefined)!;
    expect(recoveryWrapFor({ random }, store, keys, first)).toBe(first);
    for (const [now, existing] of [
      [fewer, first],
      [others, first],
      [keys, first.slice(1)],
      [keys, undefined],
    ] as const) {
      const made = recoveryWrapFor({ random }, store, now, existing)!;
      expect(made).not.toEqual(first);
      expect(wrappedFor(made, now!.publicKeys, now!.threshold)).toBe(true);
    }
    expect(recoveryWrapFor({ random }, store, undefined, first)).toBeUndefined();
    await store.close();
  });

  it('has none where the configuration names no recovery keys', async () => {
    const disk = createTestDisk();
    await bootOnce(disk, testCluster({ recovery: { threshold: 0, publicKeys: [] } }));
    expect((await headerOn(disk)).recoveryWrappedDataKey).toBeUndefined();
  });
});
