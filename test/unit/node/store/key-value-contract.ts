// What every key-value store must do, whatever is behind it.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../../src/core/bytes.ts';
import type { KeyValueOp, KeyValueStore } from '../../../../src/node/store/index.ts';
import { codeOf, entriesOf } from '../../../support/sealed-store.ts';

export interface KeyValueUnderTest {
  /** Opens the same contents each time. */
  open(): Promise<KeyValueStore>;
  remove(): void;
}

const put = (key: string, value: string): KeyValueOp => ({ kind: 'put', key: utf8(key), value: utf8(value) });
const del = (key: string): KeyValueOp => ({ kind: 'delete', key: utf8(key) });

export function describeKeyValueContract(name: string, make: () => KeyValueUnderTest): void {
  describe(`the key-value store ${name}`, () => {
    let place: KeyValueUnderTest;
    let store: KeyValueStore;
    beforeEach(async () => {
      place = make();
      store = await place.open();
    });
    afterEach(async () => {
      await store.close();
      place.remove();
    });

    const list = async (from: string, to?: string) =>
      (await entriesOf(store.range(utf8(from), to === undefined ? undefined : utf8(to)))).map(
        ([key, value]) => `${fromUtf8(key)}=${fromUtf8(value)}`,
      );

    it('gives back what was put, and undefined for what was not', async () => {
      await store.batch([put('a', '1'), put('b', '')]);
      expect(await store.get(utf8('a'))).toEqual(utf8('1'));
      expect(await store.get(utf8('b'))).toEqual(new Uint8Array(0));
      expect(await store.get(utf8('c'))).toBeUndefined();
    });

    it('lists a range by key, its start included and its end not, or everything', async () => {
      await store.batch([put('r2', 'x'), put('r10', 'y'), put('r1', 'z'), put('s', 'no')]);
      expect(await list('r1', 's')).toEqual(['r1=z', 'r10=y', 'r2=x']);
      expect(await list('r10', 'r2')).toEqual(['r10=y']);
      expect(await list('t', 'u')).toEqual([]);
      expect(await list('')).toEqual(['r1=z', 'r10=y', 'r2=x', 's=no']);
    });

    it('orders keys by their bytes', async () => {
      const keys = [[0], [0, 0], [0x7f], [0x80], [0xff], [0xff, 0], [0xff, 0xff]].map((key) => Uint8Array.from(key));
      await store.batch(keys.toReversed().map((key) => ({ kind: 'put', key, value: utf8('v') })));
      expect((await entriesOf(store.range(new Uint8Array(0)))).map(([key]) => key)).toEqual(keys);
    });

    it('shows a range as it was when it began', async () => {
      await store.batch([put('a', '1'), put('b', '1'), put('c', '1')]);
      const seen: string[] = [];
      for await (const [key, value] of store.range(utf8('a'))) {
        if (seen.length === 0) await store.batch([put('b', '2'), del('c'), put('d', '2')]);
        seen.push(`${fromUtf8(key)}=${fromUtf8(value)}`);
      }
      expect(seen).toEqual(['a=1', 'b=1', 'c=1']);
    });

    it('applies a batch in its order, deletions included', async () => {
      await store.batch([put('k', '1'), del('k'), put('l', '1'), put('l', '2'), del('none')]);
      expect(await list('k', 'm')).toEqual(['l=2']);
    });

    it('takes an empty batch, and batches side by side in the order of the calls', async () => {
      await Promise.all([store.batch([]), store.batch([put('k', '1')]), store.batch([put('k', '2')])]);
      expect(await list('k')).toEqual(['k=2']);
    });

    it('shares no bytes with its caller', async () => {
      const key = utf8('own');
      const value = utf8('kept');
      await store.batch([{ kind: 'put', key, value }]);
      key.fill(0);
      value.fill(0);
      (await store.get(utf8('own')))!.fill(0);
      expect(await store.get(utf8('own'))).toEqual(utf8('kept'));
    });

    it('keeps everything over closing and opening, synced or not', async () => {
      await store.batch([put('a', '1')]);
      await store.batch([put('b', '1')], { sync: false });
      await store.close();
      store = await place.open();
      expect(await list('')).toEqual(['a=1', 'b=1']);
    });

    it('answers store-closed after closing, and closes twice', async () => {
      await store.close();
      await store.close();
      expect(await codeOf(store.get(utf8('a')))).toBe('store-closed');
      expect(await codeOf(store.batch([put('a', '1')]))).toBe('store-closed');
      expect(await codeOf(entriesOf(store.range(utf8(''))))).toBe('store-closed');
    });

    it('is opened by one at a time', async () => {
      expect(await codeOf(place.open())).toBe('store-locked');
      await store.batch([put('a', '1')]);
    });
  });
}
