import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/core/bytes.ts';
import { type Disk, LISTED_MAX } from '../../../../src/node/disk.ts';
import type { KeyValueStore } from '../../../../src/node/store/index.ts';
import { createLevelDisk } from '../../../../src/node/store/level-disk.ts';
import { temporaryFolder } from '../../../support/folder.ts';
import { codeOf } from '../../../support/sealed-store.ts';
import { createTestDisk } from '../../../support/test-disk.ts';

const KEY = utf8('key');

async function write(disk: Disk, text: string): Promise<void> {
  await disk.header.write(utf8(`header ${text}`));
  const kv = await disk.openSealed();
  await kv.batch([{ kind: 'put', key: KEY, value: utf8(text) }]);
  await kv.close();
}

async function valueIn(kv: KeyValueStore): Promise<Uint8Array | undefined> {
  try {
    return await kv.get(KEY);
  } finally {
    await kv.close();
  }
}

for (const [name, create] of [
  ['in memory', () => createTestDisk()],
  ['in a folder', () => createLevelDisk(temporaryFolder())],
] as const) {
  describe(`a disk ${name}`, () => {
    it('has nothing set aside at first', async () => {
      expect(await create().setAsideStores()).toEqual([]);
    });

    it('lists what was set aside, the oldest first, as it was', async () => {
      const disk = create();
      for (const text of ['first', 'second']) {
        await write(disk, text);
        await disk.setAside();
        expect(await disk.header.read()).toBeUndefined();
      }
      const listed = await disk.setAsideStores();
      expect(listed.map(({ header }) => header)).toEqual([utf8('header first'), utf8('header second')]);
      expect(await valueIn(await listed[0]!.openSealed())).toEqual(utf8('first'));
      expect(await valueIn(await listed[1]!.openSealed())).toEqual(utf8('second'));
      expect(await valueIn(await disk.openSealed())).toBeUndefined();
    });

    it('writes nothing to it', async () => {
      const disk = create();
      await write(disk, 'kept');
      await disk.setAside();
      const [store] = await disk.setAsideStores();
      const kv = await store!.openSealed();
      expect(await codeOf(kv.batch([{ kind: 'delete', key: KEY }]))).toBe('store-read-only');
      expect(await valueIn(kv)).toEqual(utf8('kept'));
    });

    it('lists what was imported no more, and keeps it', async () => {
      const disk = create();
      for (const text of ['first', 'second']) {
        await write(disk, text);
        await disk.setAside();
      }
      const [first] = await disk.setAsideStores();
      await first!.markImported();
      expect((await disk.setAsideStores()).map(({ header }) => header)).toEqual([utf8('header second')]);
      expect(await valueIn(await first!.openSealed())).toEqual(utf8('first'));
      await write(disk, 'third');
      await disk.setAside();
      expect((await disk.setAsideStores()).map(({ header }) => header)).toEqual([
        utf8('header second'),
        utf8('header third'),
      ]);
    });

    it('does not list records without a header, which nobody can open', async () => {
      const disk = create();
      const kv = await disk.openSealed();
      await kv.batch([{ kind: 'put', key: KEY, value: KEY }]);
      await kv.close();
      await disk.setAside();
      expect(await disk.setAsideStores()).toEqual([]);
    });

    it('lists a bounded number', async () => {
      const disk = create();
      for (let i = 0; i <= LISTED_MAX; i++) {
        await write(disk, `${i}`);
        await disk.setAside();
      }
      const listed = await disk.setAsideStores();
      expect(listed.map(({ header }) => header)).toEqual(
        Array.from({ length: LISTED_MAX }, (_, i) => utf8(`header ${i}`)),
      );
    });
  });
}

describe('a folder', () => {
  it('with what does not belong there, or half of a store, is listed without it', async () => {
    const folder = temporaryFolder();
    const disk = createLevelDisk(folder);
    for (const text of ['first', 'second']) {
      await write(disk, text);
      await disk.setAside();
    }
    writeFileSync(join(folder, 'set-aside', 'notes.txt'), 'of an operator');
    rmSync(join(folder, 'set-aside', '1', 'sealed'), { recursive: true });
    expect((await disk.setAsideStores()).map(({ header }) => header)).toEqual([utf8('header second')]);
  });
});
