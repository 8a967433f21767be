import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../../src/core/bytes.ts';
import { createMemoryDisk, type KeyValueOp, openLevelStore } from '../../../../src/node/store/index.ts';
import { codeOf, entriesOf } from '../../../support/sealed-store.ts';
import { describeKeyValueContract } from './key-value-contract.ts';

describeKeyValueContract('in memory', () => {
  const disk = createMemoryDisk();
  return { open: async () => disk.open(), remove: () => undefined };
});

for (const compression of [false, true]) {
  describeKeyValueContract(`on LevelDB ${compression ? 'with' : 'without'} compression`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'kith-store-'));
    return {
      open: () => openLevelStore(join(folder, 'data', 'sealed'), { compression }),
      remove: () => rmSync(folder, { recursive: true }),
    };
  });
}

describe('LevelDB', () => {
  it('says when the place is no folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kith-store-'));
    writeFileSync(join(folder, 'file'), '');
    expect(await codeOf(openLevelStore(join(folder, 'file')))).toBe('store-unavailable');
    rmSync(folder, { recursive: true });
  });

  it('says when its own books are damaged', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kith-store-'));
    await (await openLevelStore(folder)).close();
    writeFileSync(join(folder, 'CURRENT'), 'MANIFEST-999999\n');
    expect(['store-corrupt', 'store-unavailable']).toContain(await codeOf(openLevelStore(folder)));
    rmSync(folder, { recursive: true });
  });
});

describe('a memory disk', () => {
  const put = (key: string): KeyValueOp => ({ kind: 'put', key: utf8(key), value: utf8('v') });
  const keys = async (disk: ReturnType<typeof createMemoryDisk>) => {
    const kv = disk.open();
    const found = (await entriesOf(kv.range(utf8('')))).map(([key]) => fromUtf8(key));
    await kv.close();
    return found.join('');
  };

  it('keeps what was synced and a prefix of the rest when it crashes', async () => {
    for (const [keep, left] of [
      [0, 'ab'],
      [1, 'abc'],
      [2, 'abcd'],
      [9, 'abcd'],
    ] as const) {
      const disk = createMemoryDisk();
      const kv = disk.open();
      await kv.batch([put('a')], { sync: false });
      await kv.batch([put('b')]);
      await kv.batch([put('c')], { sync: false });
      await kv.batch([put('d')], { sync: false });
      expect(disk.unsynced).toBe(2);
      disk.crash(keep);
      expect(await keys(disk)).toBe(left);
    }
  });

  it('settles nothing for the store that was open when it crashed', async () => {
    const disk = createMemoryDisk();
    const kv = disk.open();
    disk.crash(0);
    const answer = await Promise.race([kv.get(utf8('a')), kv.batch([put('a')]), keys(disk).then(() => 'later')]);
    expect(answer).toBe('later');
  });

  it('hides a torn batch until the next one, and shows it after a crash if that keeps it', async () => {
    for (const keep of [0, 1]) {
      let fate: 'written' | 'torn' | 'full' = 'torn';
      const disk = createMemoryDisk({ onBatch: () => fate });
      const kv = disk.open();
      expect(await codeOf(kv.batch([put('t')]))).toBe('store-full');
      expect(await kv.get(utf8('t'))).toBeUndefined();
      fate = 'full';
      if (keep === 1) expect(await codeOf(kv.batch([put('f')]))).toBe('store-full');
      disk.crash(keep);
      expect(await keys(disk)).toBe(keep === 1 ? 't' : '');
    }
  });
});
