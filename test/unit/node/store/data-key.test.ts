import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/core/bytes.ts';
import { Secret } from '../../../../src/core/secret.ts';
import {
  createMemoryDisk,
  type KeyValueStore,
  openSealedStoreWithDataKey,
  readHeader,
  type SealedStore,
  signHeader,
} from '../../../../src/node/store/index.ts';
import {
  codeOf,
  entriesOf,
  headerFor,
  itemShape,
  makeStore,
  reopenStore,
  testDeps,
  testNode,
} from '../../../support/sealed-store.ts';

const item = (count: number) => ({ count, data: utf8('something') });

/** A closed store with three records, its header and its data key. */
async function closedStore() {
  const disk = createMemoryDisk();
  const { store, header } = await makeStore(disk.open());
  const items = store.namespace('items', itemShape);
  for (const count of [1, 2, 3]) await store.commit([items.put(Uint8Array.of(count), item(count))]);
  const dataKey = store.copyDataKey();
  await store.close();
  return { disk, header: readHeader(header), headerBytes: header, dataKey };
}

const open = (kv: KeyValueStore, header: ReturnType<typeof readHeader>, dataKey: Secret): Promise<SealedStore> =>
  openSealedStoreWithDataKey(testDeps(kv, 'by data key'), { header, dataKey });

describe('a sealed store opened by its data key', () => {
  it('is the same store, takes writes, and opens by its sealing key afterwards', async () => {
    const { disk, header, headerBytes, dataKey } = await closedStore();
    const store = await open(disk.open(), header, dataKey);
    const items = store.namespace('items', itemShape);
    expect((await entriesOf(items.entries())).map(([, { count }]) => count).sort()).toEqual([1, 2, 3]);
    await store.commit([items.put(Uint8Array.of(4), item(4))]);
    await store.close();
    expect(dataKey.wiped).toBe(false);
    const again = await reopenStore(disk.open(), headerBytes);
    expect(again.namespace('items', itemShape).size).toBe(4);
    await again.close();
  });

  it('can be wrapped under a new sealing key', async () => {
    const { disk, header, dataKey } = await closedStore();
    const node = { ...testNode(), sealingKey: Secret.own(new Uint8Array(32).fill(5)) };
    const store = await open(disk.open(), header, dataKey);
    const rewritten = signHeader(headerFor(store, node, 9), node.nodeSecret);
    await store.close();
    const again = await reopenStore(disk.open(), rewritten, node);
    expect(again.records).toBe(3);
    await again.close();
  });

  it('does not open with another key, a key of another length, or for other ids', async () => {
    const { disk, header, dataKey } = await closedStore();
    const kv = disk.open();
    const other = dataKey.expose().slice();
    other[0]! ^= 1;
    expect(await codeOf(open(kv, header, Secret.own(other)))).toBe('store-corrupt');
    expect(await codeOf(open(kv, header, Secret.own(new Uint8Array(31))))).toBe('store-wrong-key');
    const { identity } = testNode('another');
    expect(await codeOf(open(kv, { ...header, nodeId: identity.nodeId }, dataKey))).toBe('store-other-cluster');
    expect(await codeOf(open(kv, { ...header, clusterId: identity.clusterId }, dataKey))).toBe('store-other-cluster');
    expect(await codeOf(open(kv, { ...header, storeId: identity.storeId }, dataKey))).toBe('store-other-cluster');
    const store = await open(kv, header, dataKey);
    await store.close();
  });

  it('is looked at record by record: one dropped is store-mixed, one damaged is store-corrupt', async () => {
    for (const [harm, code] of [
      ['drop', 'store-mixed'],
      ['damage', 'store-corrupt'],
    ] as const) {
      const { disk, header, dataKey } = await closedStore();
      const kv = disk.open();
      const [key, value] = (await entriesOf(kv.range(new Uint8Array(0)))).find(([name]) => name.length === 48)!;
      const damaged = value.map((byte, i) => (i === value.length - 1 ? byte ^ 1 : byte));
      await kv.batch([harm === 'drop' ? { kind: 'delete', key } : { kind: 'put', key, value: damaged }]);
      expect(await codeOf(open(kv, header, dataKey))).toBe(code);
    }
  });
});
