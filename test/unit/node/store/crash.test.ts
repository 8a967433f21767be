// The machine stops, or the disk is full, at every point of a batch: what reopens is a prefix of the batches.

import { describe, expect, it } from 'vitest';
import { toHex, u64be, utf8 } from '../../../../src/core/bytes.ts';
import {
  type BatchFate,
  createMemoryDisk,
  type KeyValueOp,
  type MemoryDisk,
  type SealedStore,
} from '../../../../src/node/store/index.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { codeOf, entriesOf, itemShape, makeStore, reopenStore } from '../../../support/sealed-store.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

/** Batch i: counts up a record of one namespace, appends to a second, drops an older one of the second. */
function commit(store: SealedStore, i: number): Promise<void> {
  const counter = store.namespace('counter', itemShape);
  const journal = store.namespace('journal', itemShape);
  return store.commit([
    counter.put(utf8('count'), { count: i, data: utf8('') }),
    journal.put(u64be(i), { count: i, data: utf8(`entry ${i}`) }),
    ...(i >= 3 ? [journal.delete(u64be(i - 3))] : []),
  ]);
}

/** The number of batches in the store, which must be exactly what that many batches leave. */
async function batchesIn(store: SealedStore): Promise<number> {
  const count = (await store.namespace('counter', itemShape).get(utf8('count')))?.count ?? 0;
  const entries = await entriesOf(store.namespace('journal', itemShape).entries());
  const expected = [count - 2, count - 1, count].filter((i) => i >= 1);
  expect(entries.map(([, entry]) => entry.count).sort((a, b) => a - b)).toEqual(expected);
  return count;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a crash', () => {
  it('at any batch, kept or lost, leaves exactly a prefix', async () => {
    for (let at = 1; at <= 8; at++) {
      for (const keep of [0, 1]) {
        // The batch that makes the store is number 0.
        let batches = -1;
        const disk: MemoryDisk = createMemoryDisk({
          onBatch: () => (++batches === at ? new Promise<never>(() => undefined) : 'written'),
        });
        const { store, header } = await makeStore(disk.open());
        let acknowledged = 0;
        void (async () => {
          for (let i = 1; i <= 8; i++) {
            await commit(store, i);
            acknowledged = i;
          }
        })();
        while (batches < at) await turn();
        expect(acknowledged).toBe(at - 1);
        disk.crash(keep);
        const reopened = await reopenStore(disk.open(), header);
        expect(await batchesIn(reopened)).toBe(at - 1 + keep);
        await turn();
        expect(acknowledged).toBe(at - 1);
      }
    }
  });

  it('during the making of a store leaves none, or one', async () => {
    for (const keep of [0, 1]) {
      const disk = createMemoryDisk({ onBatch: () => new Promise<never>(() => undefined) });
      void makeStore(disk.open());
      await turn();
      disk.crash(keep);
      expect(disk.image().size).toBe(keep);
    }
  });

  it('after failures of every kind never brings half a batch or an undone one', async () => {
    for (let run = 0; run < fuzzRuns(60); run++) {
      const random = seededRandom(`crash ${run}`);
      const roll = (sides: number) => random.bytes(1)[0]! % sides;
      let fate: BatchFate = 'written';
      const disk = createMemoryDisk({ onBatch: () => fate });
      const made = await makeStore(disk.open());
      let { store } = made;
      let acknowledged = 0;
      let torn = false;
      for (let step = 0; step < 25; step++) {
        fate = (['written', 'written', 'full', 'torn'] as const)[roll(4)]!;
        const code = await codeOf(commit(store, acknowledged + 1));
        expect(code).toBe(fate === 'written' ? 'no error' : 'store-full');
        if (fate === 'written') acknowledged++;
        torn = fate === 'torn' || (torn && fate !== 'written');
        expect(await batchesIn(store)).toBe(acknowledged);
        if (roll(4) > 0) continue;
        const { batchSeq } = store.head;
        disk.crash(roll(3));
        store = await reopenStore(disk.open(), made.header);
        const found = await batchesIn(store);
        // What was not acknowledged may have been written all the same, as a whole.
        expect(found - acknowledged, `run ${run}`).toBeLessThanOrEqual(torn ? 1 : 0);
        expect(found).toBeGreaterThanOrEqual(acknowledged);
        expect(store.head.batchSeq).toBeGreaterThanOrEqual(batchSeq);
        acknowledged = found;
        torn = false;
      }
    }
  });
});

describe('a full disk', () => {
  it('acknowledges nothing, answers from before, and takes batches again when there is room', async () => {
    for (const failure of ['full', 'torn'] as const) {
      let fate: BatchFate = 'written';
      const disk = createMemoryDisk({ onBatch: () => fate });
      const { store, header } = await makeStore(disk.open());
      for (let i = 1; i <= 5; i++) await commit(store, i);
      const { head } = store;
      fate = failure;
      const codes = await Promise.all([codeOf(commit(store, 6)), codeOf(commit(store, 7))]);
      expect(codes).toEqual(['store-full', 'store-full']);
      expect(await codeOf(commit(store, 6))).toBe('store-full');
      expect(store.head).toEqual(head);
      expect(await batchesIn(store)).toBe(5);
      fate = 'written';
      await commit(store, 6);
      expect(await batchesIn(store)).toBe(6);
      await store.close();
      const reopened = await reopenStore(disk.open(), header);
      expect(await batchesIn(reopened)).toBe(6);
      expect(reopened.head).toEqual(store.head);
    }
  });

  it('undoes a torn batch on other keys before anything else is written', async () => {
    let fate: BatchFate = 'written';
    const disk = createMemoryDisk({ onBatch: () => fate });
    const { store, header } = await makeStore(disk.open());
    const space = store.namespace('a', itemShape);
    const put = (key: string, count: number) => space.put(utf8(key), { count, data: utf8('') });
    await store.commit([put('kept', 1), put('dropped', 1)]);
    fate = 'torn';
    expect(await codeOf(store.commit([put('kept', 2), space.delete(utf8('dropped')), put('new', 2)]))).toBe(
      'store-full',
    );
    fate = 'written';
    await store.commit([put('other', 3)]);
    disk.crash(0);
    const found = await entriesOf((await reopenStore(disk.open(), header)).namespace('a', itemShape).entries());
    expect(found.map(([, { count }]) => count).sort()).toEqual([1, 1, 3]);
  });

  it('never gives two states one number', async () => {
    let fate: BatchFate = 'written';
    let ops: readonly KeyValueOp[] = [];
    const disk = createMemoryDisk({
      onBatch(batch) {
        ops = batch;
        return fate;
      },
    });
    const { store, header } = await makeStore(disk.open());
    const heads = new Map<number, string>();
    /** What a crash right now would leave, had the last batch been written. */
    const note = async () => {
      const image = new Map(disk.image());
      for (const op of ops) {
        if (op.kind === 'put') image.set(String.fromCharCode(...op.key), op.value);
        else image.delete(String.fromCharCode(...op.key));
      }
      const { batchSeq, rootHash } = (await reopenStore(createMemoryDisk({ image }).open(), header)).head;
      expect(heads.get(batchSeq) ?? toHex(rootHash)).toBe(toHex(rootHash));
      heads.set(batchSeq, toHex(rootHash));
    };
    await note();
    for (const [i, next] of (['written', 'torn', 'torn', 'written', 'full', 'torn', 'written'] as const).entries()) {
      fate = next;
      await codeOf(commit(store, i + 1));
      await note();
    }
    expect(heads.size).toBe(8);
    expect(heads.get(store.head.batchSeq)).toBe(toHex(store.head.rootHash));
  });
});
