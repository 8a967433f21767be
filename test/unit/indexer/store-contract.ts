// What every Store must do, the memory one of the tests included.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import type { Store, StoreOp } from '../../../src/indexer/index.ts';
import { collect } from '../../support/replay.ts';

export interface StoreUnderTest {
  readonly store: Store;
  readonly close?: () => Promise<void>;
}

const put = (key: string, value: string): StoreOp => ({ kind: 'put', key: utf8(key), value: utf8(value) });

export function describeStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`the store ${name}`, () => {
    let made: StoreUnderTest;
    let store: Store;
    beforeAll(async () => {
      made = await make();
      store = made.store;
    });
    afterAll(() => made.close?.());

    const keys = async (from: string, to: string) =>
      (await collect(store.range(utf8(from), utf8(to)))).map(([key, value]) => `${fromUtf8(key)}=${fromUtf8(value)}`);

    it('gives back what was put, and undefined for what was not', async () => {
      await store.batch([put('a', '1'), put('b', '2')]);
      expect(fromUtf8((await store.get(utf8('a')))!)).toBe('1');
      expect(await store.get(utf8('c'))).toBeUndefined();
    });

    it('lists a range by key, its start included and its end not', async () => {
      await store.batch([put('r2', 'x'), put('r10', 'y'), put('r1', 'z'), put('s', 'no')]);
      expect(await keys('r1', 's')).toEqual(['r1=z', 'r10=y', 'r2=x']);
      expect(await keys('r10', 'r2')).toEqual(['r10=y']);
      expect(await keys('t', 'u')).toEqual([]);
    });

    it('applies a batch in its order, deletions included', async () => {
      await store.batch([put('k', '1'), { kind: 'delete', key: utf8('k') }, put('l', '1'), put('l', '2')]);
      expect(await keys('k', 'm')).toEqual(['l=2']);
    });

    it('keeps no reference to the bytes of its caller', async () => {
      const value = utf8('kept');
      await store.batch([{ kind: 'put', key: utf8('own'), value }]);
      value.fill(0);
      expect(fromUtf8((await store.get(utf8('own')))!)).toBe('kept');
    });
  });
}
