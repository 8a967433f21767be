import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../../src/core/bytes.ts';
import type { Clock } from '../../../../src/core/ports.ts';
import { bytesUpTo, shape, uint } from '../../../../src/core/schema.ts';
import {
  type BatchFate,
  createMemoryDisk,
  createSealedStore,
  type Namespace,
  type SealedStore,
} from '../../../../src/node/store/index.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import {
  codeOf,
  entriesOf,
  type Item,
  itemShape,
  makeStore,
  reopenStore,
  testDeps,
  testNode,
} from '../../../support/sealed-store.ts';

const item = (count: number, data = 'data'): Item => ({ count, data: utf8(data) });

async function contents(namespace: Namespace<Item>): Promise<Record<string, number>> {
  const entries = await entriesOf(namespace.entries());
  return Object.fromEntries(entries.map(([key, { count }]) => [toHex(key), count]));
}

describe('a sealed store', () => {
  it('gives back typed values by namespace, before and after reopening', async () => {
    const disk = createMemoryDisk();
    const { store, header } = await makeStore(disk.open());
    const check = async (open: SealedStore) => {
      const [a, b] = [open.namespace('a', itemShape), open.namespace('b', itemShape)];
      expect(await a.get(utf8('k'))).toEqual(item(1, 'first'));
      expect(await b.get(utf8('k'))).toEqual(item(2, ''));
      expect(await a.get(utf8('none'))).toBeUndefined();
      expect([a.size, b.size]).toEqual([1, 2]);
      expect(await contents(b)).toEqual({ [toHex(utf8('k'))]: 2, '': 3 });
    };
    const [a, b] = [store.namespace('a', itemShape), store.namespace('b', itemShape)];
    await store.commit([a.put(utf8('k'), item(1, 'first')), b.put(utf8('k'), item(2, ''))]);
    await store.commit([b.put(new Uint8Array(0), item(3)), a.put(utf8('gone'), item(4))]);
    await store.commit([a.delete(utf8('gone')), a.delete(utf8('never there'))]);
    await check(store);
    const { head } = store;
    expect(head.batchSeq).toBe(3);
    await store.close();
    const again = await reopenStore(disk.open(), header);
    expect(again.head).toEqual(head);
    await check(again);
  });

  it('lets the last of several writes to one key win', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    const a = store.namespace('a', itemShape);
    await store.commit([a.put(utf8('k'), item(1)), a.delete(utf8('k')), a.put(utf8('k'), item(2))]);
    await Promise.all([store.commit([a.put(utf8('k'), item(3))]), store.commit([a.put(utf8('k'), item(4))])]);
    expect((await a.get(utf8('k')))?.count).toBe(4);
    expect(a.size).toBe(1);
  });

  it('writes what is committed within the window as one batch, and each caller waits for it', async () => {
    const batches: number[] = [];
    const disk = createMemoryDisk({
      onBatch(ops) {
        batches.push(ops.length);
        return 'written';
      },
    });
    const waits: { delayMs: number; callback: () => void }[] = [];
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 0,
      schedule(delayMs, callback) {
        waits.push({ delayMs, callback });
        return { cancel: () => undefined };
      },
    };
    const store = await createSealedStore(testDeps(disk.open(), 'group', clock), testNode().identity);
    const a = store.namespace('a', itemShape);
    const all = Array.from({ length: 10 }, (_, i) => store.commit([a.put(utf8(`k${i}`), item(i))]));
    expect(waits.map(({ delayMs }) => delayMs)).toEqual([2]);
    expect(a.size).toBe(0);
    waits[0]!.callback();
    await Promise.all(all);
    // The first batch made the store; ten records and the root.
    expect(batches).toEqual([1, 11]);
    expect(store.head.batchSeq).toBe(1);
  });

  it('takes what arrives during a sync in the next batch without another wait', async () => {
    let release = (): void => undefined;
    let batches = 0;
    const disk = createMemoryDisk({
      async onBatch(): Promise<BatchFate> {
        if (++batches === 2) {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        return 'written';
      },
    });
    const { store } = await makeStore(disk.open());
    const a = store.namespace('a', itemShape);
    const first = store.commit([a.put(utf8('k'), item(1))]);
    while (batches < 2) await new Promise(setImmediate);
    const rest = [1, 2, 3].map((i) => store.commit([a.put(utf8('k'), item(10 + i))]));
    // A read of a record that is being written waits for it.
    const read = a.get(utf8('k'));
    release();
    await Promise.all([first, ...rest]);
    expect(batches).toBe(3);
    expect([1, 13]).toContain((await read)?.count);
    expect((await a.get(utf8('k')))?.count).toBe(13);
  });

  it('lists every record that stays, each once and as it is by then, while others come and go', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    const a = store.namespace('a', itemShape);
    const keys = Array.from({ length: 40 }, (_, i) => utf8(`k${i}`));
    await store.commit(keys.map((key) => a.put(key, item(0))));
    const seen = new Map<string, number>();
    for await (const [key, { count }] of a.entries()) {
      expect(seen.has(toHex(key))).toBe(false);
      seen.set(toHex(key), count);
      if (seen.size !== 1) continue;
      const rest = keys.filter((other) => !seen.has(toHex(other)));
      await store.commit([
        ...rest.slice(0, 10).map((other) => a.delete(other)),
        ...rest.slice(10, 20).map((other) => a.put(other, item(1))),
        a.put(utf8('new'), item(2)),
      ]);
    }
    expect(seen.size).toBe(30);
    expect([...seen.values()].filter((count) => count === 1).length).toBe(10);
  });

  it('encodes at the call, so that later changes of the value do not matter', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    const a = store.namespace('a', itemShape);
    const value = item(1);
    const key = utf8('k');
    const write = a.put(key, value);
    value.count = 2;
    value.data.fill(0);
    key.fill(0);
    await store.commit([write]);
    expect(await a.get(utf8('k'))).toEqual(item(1));
  });

  it('refuses what does not fit, at once and with the reason', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    const a = store.namespace('a', itemShape);
    const big = store.namespace('big', shape(bytesUpTo(20_000_000)));
    expect(() => a.put(utf8('k'), { count: -1, data: utf8('') })).toThrow(/shape/);
    expect(() => a.put(utf8('k'), { count: 1, data: utf8(''), more: 1 } as Item)).toThrow(/shape/);
    expect(() => a.put(new Uint8Array(129), item(1))).toThrow(/key of 129 bytes/);
    expect(() => big.put(utf8('k'), new Uint8Array(13 * 1024 * 1024 + 1))).toThrow(/value of/);
    for (const label of ['', 'A', 'a b', 'x'.repeat(33), 'kith/a']) {
      expect(() => store.namespace(label, itemShape), label).toThrow(/label/);
    }
    const piece = big.put(utf8('k'), new Uint8Array(4_000_000));
    expect(await codeOf(store.commit([piece, piece, piece, piece, piece]))).toBe('bad-record');
    const other = await makeStore(createMemoryDisk().open(), testNode('other'));
    expect(await codeOf(other.store.commit([a.put(utf8('k'), item(1))]))).toBe('bad-record');
    expect(a.size).toBe(0);
    await store.commit([a.put(new Uint8Array(128), item(1)), big.put(new Uint8Array(0), new Uint8Array(4_000_000))]);
    expect([a.size, big.size]).toEqual([1, 1]);
  });

  it('tells callers that it is busy when too much waits', async () => {
    const { store } = await makeStore(createMemoryDisk({ onBatch: () => 'written' }).open());
    const big = store.namespace('big', shape(bytesUpTo(4_000_000)));
    const piece = big.put(utf8('k'), new Uint8Array(4_000_000));
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(store.commit([piece]))));
    expect(codes.slice(0, 16)).toEqual(new Array(16).fill('no error'));
    expect(codes.slice(16)).toEqual(new Array(4).fill('store-busy'));
    await store.commit([piece]);
  });

  it('finishes what was committed when it is closed, and answers store-closed afterwards', async () => {
    const disk = createMemoryDisk();
    const { store, header } = await makeStore(disk.open());
    const a = store.namespace('a', itemShape);
    const last = store.commit([a.put(utf8('k'), item(1))]);
    await Promise.all([store.close(), store.close()]);
    await last;
    expect(await codeOf(store.commit([a.put(utf8('k'), item(1))]))).toBe('store-closed');
    expect(await codeOf(a.get(utf8('k')))).toBe('store-closed');
    expect(await codeOf(entriesOf(a.entries()))).toBe('store-closed');
    expect(() => store.namespace('b', itemShape)).toThrow(/closed/);
    const again = await reopenStore(disk.open(), header);
    expect((await again.namespace('a', itemShape).get(utf8('k')))?.count).toBe(1);
  });

  it('says store-corrupt when a record has another shape than its reader expects', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    await store.commit([store.namespace('a', itemShape).put(utf8('k'), item(1))]);
    expect(await codeOf(store.namespace('a', shape(uint())).get(utf8('k')))).toBe('store-corrupt');
  });

  it('is not made where there are records', async () => {
    const disk = createMemoryDisk();
    const { store } = await makeStore(disk.open());
    await store.close();
    expect(await codeOf(createSealedStore(testDeps(disk.open()), testNode('new').identity))).toBe('store-not-empty');
  });

  it('shows neither keys nor values when it is printed', async () => {
    const { store } = await makeStore(createMemoryDisk().open());
    const write = store.namespace('a', itemShape).put(utf8('k'), item(1));
    expect(JSON.stringify(write.namespace)).toContain('[secret]');
    expect(JSON.stringify(store)).not.toContain('Key');
  });

  it('agrees with a map under random batches, failures and restarts', async () => {
    const key = fc.uint8Array({ minLength: 0, maxLength: 2, max: 3 });
    const write = fc.record({
      space: fc.constantFrom('a', 'b', 'c'),
      key,
      count: fc.option(fc.nat(1000), { nil: undefined }),
    });
    const step = fc.record({
      commits: fc.array(fc.array(write, { maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      fate: fc.constantFrom('written', 'written', 'written', 'full', 'torn'),
      after: fc.constantFrom('go on', 'go on', 'reopen', 'look'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        let fate: 'written' | 'full' | 'torn' = 'written';
        const disk = createMemoryDisk({ onBatch: () => fate });
        const made = await makeStore(disk.open());
        let { store } = made;
        const oracle = new Map<string, number>();
        const look = async () => {
          for (const space of ['a', 'b', 'c']) {
            const expected = [...oracle].filter(([name]) => name.startsWith(space));
            const namespace = store.namespace(space, itemShape);
            expect(namespace.size).toBe(expected.length);
            expect(await contents(namespace)).toEqual(
              Object.fromEntries(expected.map(([name, count]) => [name.slice(1), count])),
            );
          }
        };
        for (const { commits, fate: next, after } of steps) {
          fate = next;
          const codes = await Promise.all(
            commits.map((writes) =>
              codeOf(
                store.commit(
                  writes.map((one) => {
                    const namespace = store.namespace(one.space, itemShape);
                    return one.count === undefined
                      ? namespace.delete(one.key)
                      : namespace.put(one.key, item(one.count));
                  }),
                ),
              ),
            ),
          );
          // They went as one batch: all or none. One that changes nothing needs no disk.
          expect(new Set(codes).size).toBe(1);
          if (codes[0] === 'no error') {
            for (const one of commits.flat()) {
              const name = one.space + toHex(one.key);
              if (one.count === undefined) oracle.delete(name);
              else oracle.set(name, one.count);
            }
          } else {
            expect(codes[0]).toBe('store-full');
          }
          if (after === 'look') await look();
          if (after === 'reopen') {
            // A clean end brings the torn batch to light, unless a later one undid it.
            fate = 'written';
            await store.commit([store.namespace('z', itemShape).put(utf8('z'), item(0))]);
            await store.close();
            store = await reopenStore(disk.open(), made.header);
            await look();
          }
        }
        await look();
      }),
      { numRuns: fuzzRuns(60) },
    );
  });
});
