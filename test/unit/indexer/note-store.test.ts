// The note store: one batch, no holes, and no alteration of the disk unseen.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.ts';
import {
  createMemoryStore,
  openNoteStore,
  type SourceBlock,
  type Store,
  type StoreOp,
} from '../../../src/indexer/index.ts';
import { openLevelStore } from '../../../src/node/store/level.ts';
import { collect } from '../../support/replay.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { describeStoreContract } from './store-contract.ts';

describeStoreContract('in memory', async () => ({ store: createMemoryStore() }));
describeStoreContract('on disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kith-level-'));
  const store = await openLevelStore(folder);
  return {
    store,
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
});

const START = 1_000;

function hashOf(height: number): Uint8Array {
  return seededRandom(`hash ${height}`).bytes(32);
}

function blockAt(height: number): SourceBlock {
  const flags = height % 3 === 0 ? undefined : [seededRandom(`flag ${height}`).bytes(111)];
  return {
    height,
    hash: hashOf(height),
    parentHash: hashOf(height - 1),
    chainId: 'c',
    time: '2025-01-01T00:00:00Z',
    transactions: height % 2 === 0 ? [{ blockIndex: 1, flags }] : [],
    texts: height % 5 === 0 ? [{ blockIndex: 2, text: `kith/c/${height}` }] : [],
    undecodable: [],
  };
}

const blocksUpTo = (from: number, to: number): SourceBlock[] =>
  Array.from({ length: to - from + 1 }, (_, i) => blockAt(from + i));

const kept = ({ height, hash, time, transactions, texts }: SourceBlock) => ({
  height,
  hash,
  time,
  transactions,
  texts,
});

/** A store with heights 1000 to `to`, and the last thing it sealed. */
async function filled(to: number, store: Store = createMemoryStore()) {
  let sealed: Uint8Array | undefined;
  const seal = (checkpoint: Uint8Array): StoreOp[] => {
    sealed = checkpoint;
    return [{ kind: 'put', key: utf8('sealed'), value: checkpoint }];
  };
  const notes = await openNoteStore(store, { seal });
  await notes.pin('c', START);
  for (let from = START; from <= to; from += 50) await notes.append(blocksUpTo(from, Math.min(to, from + 49)));
  return { store, notes, sealed: sealed! };
}

describe('a note store', () => {
  it('gives back what was written, in any range, before and after it is opened again', async () => {
    const { store, notes } = await filled(1_700);
    const again = await openNoteStore(store);
    expect(again.checkpoint).toEqual(notes.checkpoint);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: START, max: 1_700 }),
        fc.integer({ min: 0, max: 600 }),
        async (from, length) => {
          const to = Math.min(1_700, from + length);
          const expected = blocksUpTo(from, to).map(kept);
          expect(await collect(notes.read(from, to))).toEqual(expected);
          expect(await collect(again.read(from, to))).toEqual(expected);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('writes rows, cursor and what the caller seals in one batch', async () => {
    const batches: (readonly StoreOp[])[] = [];
    const inner = createMemoryStore();
    const store: Store = {
      ...inner,
      batch: (ops) => {
        batches.push(ops);
        return inner.batch(ops);
      },
    };
    await filled(START + 9, store);
    expect(batches.length).toBe(2);
    const names = batches[1]!.map(({ key }) => new TextDecoder().decode(key.subarray(0, 10)));
    expect(names.filter((name) => name === 'chain/row/').length).toBe(10);
    expect(names.slice(10)).toEqual(['chain/chec', 'sealed']);
  });

  it('announces a height only once its rows are on the disk', async () => {
    const inner = createMemoryStore();
    let finish: () => void = () => undefined;
    let slow = false;
    const store: Store = {
      ...inner,
      async batch(ops) {
        if (slow) await new Promise<void>((resolve) => (finish = resolve));
        await inner.batch(ops);
      },
    };
    const notes = await openNoteStore(store);
    await notes.pin('c', START);
    slow = true;
    let announced = false;
    const reached = notes.reached(START, new AbortController()).then(() => (announced = true));
    const written = notes.append([blockAt(START)]);
    await Promise.resolve();
    expect(notes.checkpoint?.cursor).toBe(START - 1);
    expect(announced).toBe(false);
    finish();
    await written;
    await reached;
    expect((await collect(notes.read(START, START))).length).toBe(1);
  });

  it('stays as it was when a write fails', async () => {
    const inner = createMemoryStore();
    let failing = false;
    const store: Store = {
      ...inner,
      batch: (ops) => (failing ? Promise.reject(new Error('disk full')) : inner.batch(ops)),
    };
    const { notes } = await filled(START + 9, store);
    failing = true;
    await expect(notes.append([blockAt(START + 10)])).rejects.toThrow('disk full');
    failing = false;
    await notes.append([blockAt(START + 10)]);
    expect((await collect(notes.read(START, START + 10))).map(({ height }) => height)).toEqual(
      blocksUpTo(START, START + 10).map(({ height }) => height),
    );
  });

  it('takes only the next height', async () => {
    const { notes } = await filled(START + 9);
    for (const height of [START + 9, START + 11]) {
      await expect(notes.append([blockAt(height)])).rejects.toMatchObject({ code: 'bad-answer' });
    }
    await expect(notes.append([blockAt(START + 10), blockAt(START + 12)])).rejects.toMatchObject({
      code: 'bad-answer',
    });
    expect(notes.checkpoint?.cursor).toBe(START + 9);
  });

  it('takes no block that does not follow the one it holds, also after a restart', async () => {
    const { store, notes } = await filled(START + 9);
    const foreign = { ...blockAt(START + 10), parentHash: new Uint8Array(32) };
    await expect(notes.append([foreign])).rejects.toMatchObject({ code: 'chain-disagreement' });
    await expect((await openNoteStore(store)).append([foreign])).rejects.toMatchObject({ code: 'chain-disagreement' });
    expect(notes.checkpoint?.cursor).toBe(START + 9);
  });

  it('names what it does not hold', async () => {
    const { notes } = await filled(START + 9);
    expect(notes.gaps(START, START + 9)).toEqual([]);
    expect(notes.gaps(900, 1_100)).toEqual([
      { from: 900, to: 999 },
      { from: 1_010, to: 1_100 },
    ]);
    expect(notes.gaps(1_020, 1_030)).toEqual([{ from: 1_020, to: 1_030 }]);
    expect(notes.gaps(1, 5)).toEqual([{ from: 1, to: 5 }]);
    expect((await openNoteStore(createMemoryStore())).gaps(1, 5)).toEqual([{ from: 1, to: 5 }]);
    for (const [from, to] of [
      [999, 1_001],
      [1_005, 1_010],
    ] as const) {
      await expect(collect(notes.read(from, to))).rejects.toMatchObject({ code: 'bad-options' });
    }
  });
});

describe('a disk that belongs to the host', () => {
  const TO = START + 700;

  /** The keys of all rows. */
  const rowKeys = async (store: Store) =>
    (await collect(store.range(utf8('chain/row/'), utf8('chain/row0')))).map(([key]) => key);

  it.each([
    [
      'alters',
      async (store: Store, key: Uint8Array) => {
        const value = (await store.get(key))!.slice();
        value[value.length - 1]! ^= 1;
        await store.batch([{ kind: 'put', key, value }]);
      },
    ],
    ['drops', (store: Store, key: Uint8Array) => store.batch([{ kind: 'delete', key }])],
    [
      'swaps',
      async (store: Store, key: Uint8Array) => {
        const other = (await rowKeys(store))[3]!;
        const [a, b] = [(await store.get(key))!, (await store.get(other))!];
        await store.batch([
          { kind: 'put', key, value: b },
          { kind: 'put', key: other, value: a },
        ]);
      },
    ],
  ] as const)('is found out when it %s a row, at the next opening and while it is open', async (_, tamper) => {
    for (const index of [0, 300, 699, 700]) {
      const { store, sealed } = await filled(TO);
      const notes = await openNoteStore(store, { sealed });
      await tamper(store, (await rowKeys(store))[index]!);
      await expect(openNoteStore(store, { sealed })).rejects.toMatchObject({ code: 'store-corrupt' });
      await expect(collect(notes.read(START + index, START + index))).rejects.toMatchObject({ code: 'store-corrupt' });
    }
  });

  it('is not asked for what was written last', async () => {
    const { store, notes, sealed } = await filled(TO);
    const last = [START + 699, START + 700] as const;
    await store.batch((await rowKeys(store)).slice(300).map((key) => ({ kind: 'delete', key })));
    expect(await collect(notes.read(...last))).toEqual(blocksUpTo(...last).map(kept));
    await expect(collect(notes.read(START + 500, TO))).rejects.toMatchObject({ code: 'store-corrupt' });
    await expect(openNoteStore(store, { sealed })).rejects.toMatchObject({ code: 'store-corrupt' });
  });

  it('is found out when it goes back to an older state', async () => {
    const old = await filled(START + 100);
    const { sealed } = await filled(TO);
    await expect(openNoteStore(old.store, { sealed })).rejects.toMatchObject({ code: 'store-rolled-back' });
    await expect(openNoteStore(createMemoryStore(), { sealed })).rejects.toMatchObject({ code: 'store-rolled-back' });
  });

  it('cannot add rows beyond what was sealed', async () => {
    const { sealed } = await filled(START + 100);
    const { store } = await filled(TO);
    const notes = await openNoteStore(store, { sealed });
    expect(notes.checkpoint?.cursor).toBe(START + 100);
    await notes.append(blocksUpTo(START + 101, START + 120));
    expect((await collect(notes.read(START, START + 120))).length).toBe(121);
  });

  it('cannot make its own checkpoint count', async () => {
    const { sealed, store } = await filled(START + 100);
    const other = await filled(START + 101);
    const own = (await other.store.get(utf8('sealed')))!;
    const row = (await rowKeys(store))[5]!;
    await store.batch([
      { kind: 'put', key: utf8('chain/checkpoint'), value: own },
      { kind: 'delete', key: row },
    ]);
    await expect(openNoteStore(store, { sealed })).rejects.toMatchObject({ code: 'store-corrupt' });
    await store.batch([{ kind: 'put', key: utf8('chain/checkpoint'), value: utf8('nonsense') }]);
    await expect(openNoteStore(store)).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});
