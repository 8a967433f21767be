// The host against a store: it sees every ciphertext that ever was and puts together what it likes.

import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../../src/core/bytes.ts';
import {
  createMemoryDisk,
  type DiskImage,
  readHeader,
  type StoreHeader,
  signHeader,
} from '../../../../src/node/store/index.ts';
import {
  codeOf,
  entriesOf,
  headerFor,
  itemShape,
  makeStore,
  reopenStore,
  testNode,
} from '../../../support/sealed-store.ts';

const SPACES = ['a', 'b'];
const KEYS = ['k0', 'k1', 'k2', 'k3'];
const ROOT = 'root';

/** A store after each of some batches: every record is rewritten in each, one key is added and one dropped. */
async function history(seed = 'store') {
  const disk = createMemoryDisk();
  const node = testNode(seed);
  const { store, header } = await makeStore(disk.open(), node, seed);
  const spaces = SPACES.map((label) => store.namespace(label, itemShape));
  const images: DiskImage[] = [disk.image()];
  for (let round = 0; round < 4; round++) {
    await store.commit(
      spaces.flatMap((space) => KEYS.map((key) => space.put(utf8(key), { count: round, data: utf8('same length') }))),
    );
    await store.commit(
      spaces.flatMap((space) => [
        space.put(utf8(`only ${round}`), { count: round, data: utf8('x') }),
        space.delete(utf8(`only ${round - 1}`)),
      ]),
    );
    images.push(disk.image());
  }
  await store.close();
  return { header, node, images };
}

const open = async (image: DiskImage, header: Uint8Array, node = testNode('store')) => {
  const store = await reopenStore(createMemoryDisk({ image }).open(), header, node);
  // Whatever opens must also be complete and readable.
  for (const label of SPACES) {
    const space = store.namespace(label, itemShape);
    if ((await entriesOf(space.entries())).length !== space.size) throw new Error('incomplete');
  }
};

const changed = (image: DiskImage, change: (image: Map<string, Uint8Array>) => void): DiskImage => {
  const copy = new Map(image);
  change(copy);
  return copy;
};

describe('the host', () => {
  it('changes nothing by restoring a whole moment (that is for peers to notice)', async () => {
    const { images, header } = await history();
    const heads = new Set<string>();
    for (const image of images) {
      const store = await reopenStore(createMemoryDisk({ image }).open(), header, testNode('store'));
      heads.add(toHex(store.head.rootHash));
    }
    expect(heads.size).toBe(images.length);
  });

  it('cannot put one record back to an older ciphertext, whichever', async () => {
    const { images, header } = await history();
    const now = images.at(-1)!;
    let tried = 0;
    for (const old of images.slice(0, -1)) {
      for (const [name, sealed] of old) {
        if (name === ROOT) continue;
        // Also those deleted since: the record comes back.
        expect(
          await codeOf(
            open(
              changed(now, (image) => image.set(name, sealed)),
              header,
            ),
          ),
        ).toBe('store-mixed');
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(25);
  });

  it('cannot put the root back alone', async () => {
    const { images, header } = await history();
    for (const old of images.slice(0, -1)) {
      const mixed = changed(images.at(-1)!, (image) => image.set(ROOT, old.get(ROOT)!));
      expect(await codeOf(open(mixed, header))).toBe('store-mixed');
    }
  });

  it('cannot drop a record, the root included', async () => {
    const { images, header } = await history();
    const now = images.at(-1)!;
    for (const name of now.keys()) {
      expect(
        await codeOf(
          open(
            changed(now, (image) => void image.delete(name)),
            header,
          ),
        ),
      ).toBe('store-mixed');
    }
    expect(await codeOf(open(new Map(), header))).toBe('store-mixed');
  });

  it('cannot swap two records, in a namespace or across', async () => {
    const { images, header } = await history();
    const now = images.at(-1)!;
    const names = [...now.keys()].filter((name) => name !== ROOT);
    for (const one of names) {
      for (const other of names) {
        if (one >= other) continue;
        const swapped = changed(now, (image) => {
          image.set(one, now.get(other)!);
          image.set(other, now.get(one)!);
        });
        expect(await codeOf(open(swapped, header))).toBe('store-mixed');
      }
    }
  });

  it('cannot copy a record to another key, known or made up', async () => {
    const { images, header } = await history();
    const now = images.at(-1)!;
    const names = [...now.keys()].filter((name) => name !== ROOT);
    for (const name of names) {
      const over = changed(now, (image) => image.set(names.find((other) => other !== name)!, now.get(name)!));
      expect(await codeOf(open(over, header))).toBe('store-mixed');
      const beside = changed(now, (image) => image.set(`${name.slice(0, -1)}\u0000`, now.get(name)!));
      expect(await codeOf(open(beside, header))).toBe('store-mixed');
    }
  });

  it('is told of damage when it alters or invents bytes', async () => {
    const { images, header } = await history();
    const now = images.at(-1)!;
    for (const [name, sealed] of now) {
      for (const at of [0, 32, 60, sealed.length - 1]) {
        const flipped = sealed.slice();
        flipped[at] = flipped[at]! ^ 1;
        const expected = name === ROOT && at === 0 ? 'store-other-cluster' : 'store-corrupt';
        expect(
          await codeOf(
            open(
              changed(now, (image) => image.set(name, flipped)),
              header,
            ),
          ),
        ).toBe(expected);
      }
      for (const length of [0, 1, 41, sealed.length - 1]) {
        const cut = changed(now, (image) => image.set(name, sealed.slice(0, length)));
        expect(await codeOf(open(cut, header))).toBe('store-corrupt');
      }
      const longer = new Uint8Array(sealed.length + 1);
      longer.set(sealed);
      expect(
        await codeOf(
          open(
            changed(now, (image) => image.set(name, longer)),
            header,
          ),
        ),
      ).toBe('store-corrupt');
    }
    for (const name of ['', 'x', 'rooT', 'y'.repeat(48), 'y'.repeat(49)]) {
      const more = changed(now, (image) => image.set(name, new Uint8Array(100)));
      expect(await codeOf(open(more, header)), name).toBe('store-corrupt');
    }
    const huge = changed(now, (image) => image.set('y'.repeat(48), new Uint8Array(5 * 1024 * 1024)));
    expect(await codeOf(open(huge, header))).toBe('store-corrupt');
  });

  it('cannot mix any two moments record by record', async () => {
    const { images, header } = await history();
    const [before, after] = [images.at(-2)!, images.at(-1)!];
    for (let seed = 1; seed < 60; seed++) {
      let bits = seed * 2654435761;
      const mixed = new Map<string, Uint8Array>();
      for (const name of new Set([...before.keys(), ...after.keys()])) {
        bits = (bits * 48271) % 2147483647;
        const from = bits % 2 === 0 ? before : after;
        if (from.has(name)) mixed.set(name, from.get(name)!);
      }
      expect(await codeOf(open(mixed, header))).toBe('store-mixed');
    }
  });

  it('cannot put another store in place, nor another header', async () => {
    const own = await history();
    const other = await history('other');
    const node = testNode('store');
    const now = own.images.at(-1)!;
    expect(await codeOf(open(other.images.at(-1)!, own.header))).toBe('store-other-cluster');
    expect(await codeOf(open(now, other.header))).toBe('store-wrong-key');
    expect(await codeOf(open(now, other.header, testNode('other')))).toBe('store-other-cluster');
    // Its records under our root, and ours under its root.
    const theirs = changed(other.images.at(-1)!, (image) => image.set(ROOT, now.get(ROOT)!));
    expect(await codeOf(open(theirs, own.header))).toBe('store-corrupt');
    const stranger = [...other.images.at(-1)!].find(([name]) => name !== ROOT)!;
    expect(
      await codeOf(
        open(
          changed(now, (image) => image.set(...stranger)),
          own.header,
        ),
      ),
    ).toBe('store-corrupt');

    // A node that signs a header of its own around our wrapped key, even with the right sealing key.
    const header = readHeader(own.header);
    const thief = testNode('thief');
    const claims: Partial<StoreHeader>[] = [
      { nodeId: thief.identity.nodeId },
      { nodeId: thief.identity.nodeId, storeId: thief.identity.storeId },
    ];
    for (const claim of claims) {
      const forged = signHeader({ ...header, ...claim }, thief.nodeSecret);
      expect(await codeOf(open(now, forged))).toBe('store-other-cluster');
    }
    const elsewhere = signHeader({ ...header, clusterId: thief.identity.clusterId }, node.nodeSecret);
    expect(await codeOf(open(now, elsewhere))).toBe('store-other-cluster');
    const relabelled = changed(now, (image) => {
      const root = image.get(ROOT)!.slice();
      root.set(thief.identity.storeId);
      image.set(ROOT, root);
    });
    const forged = signHeader({ ...header, storeId: thief.identity.storeId }, node.nodeSecret);
    expect(await codeOf(open(relabelled, forged))).toBe('store-corrupt');
  });

  it('gets nothing opened with a wrong sealing key', async () => {
    const { images, header } = await history();
    const wrong = { ...testNode('store'), sealingKey: testNode('other').sealingKey };
    expect(await codeOf(open(images.at(-1)!, header, wrong))).toBe('store-wrong-key');
    // With a commitment to the wrong key too.
    const node = testNode('store');
    const claimed = { ...readHeader(header), keyCommitment: readHeader((await history('other')).header).keyCommitment };
    const misled = signHeader(claimed, node.nodeSecret);
    expect(await codeOf(open(images.at(-1)!, misled, wrong))).toBe('store-wrong-key');
    // A header of one epoch with the wrapped key of another.
    const epoch = signHeader({ ...readHeader(header), keyEpoch: 2 }, node.nodeSecret);
    expect(await codeOf(open(images.at(-1)!, epoch))).toBe('store-wrong-key');
  });

  it('is noticed when it alters a record while the store is open', async () => {
    const disk = createMemoryDisk();
    const { store } = await makeStore(disk.open());
    const space = store.namespace('a', itemShape);
    const put = (count: number) => store.commit([space.put(utf8('k'), { count, data: utf8('x') })]);
    await put(1);
    const old = disk.image();
    await put(2);
    disk.replace(old);
    expect(await codeOf(space.get(utf8('k')))).toBe('store-mixed');
    // From then on nothing is answered or taken.
    expect(await codeOf(entriesOf(space.entries()))).toBe('store-mixed');
    expect(await codeOf(put(3))).toBe('store-mixed');
  });

  it('is noticed when it drops a record while the store is open', async () => {
    const disk = createMemoryDisk();
    const { store } = await makeStore(disk.open());
    const space = store.namespace('a', itemShape);
    await store.commit(['k', 'l'].map((key) => space.put(utf8(key), { count: 1, data: utf8('x') })));
    disk.replace(changed(disk.image(), (image) => void image.delete([...image.keys()].find((name) => name !== ROOT)!)));
    expect(await codeOf(entriesOf(space.entries()))).toBe('store-mixed');
  });

  it('cannot use an old header after the sealing key was dealt again, nor lose the store by keeping it', async () => {
    const disk = createMemoryDisk();
    const node = testNode();
    const { store, header } = await makeStore(disk.open(), node);
    const later = { ...node, sealingKey: testNode('later').sealingKey };
    const redealt = signHeader(headerFor(store, later, 2), node.nodeSecret);
    const before = disk.image();
    await store.close();
    expect(disk.image()).toEqual(before);
    expect(await codeOf(reopenStore(createMemoryDisk({ image: before }).open(), header, later))).toBe(
      'store-wrong-key',
    );
    expect(await codeOf(reopenStore(createMemoryDisk({ image: before }).open(), redealt, node))).toBe(
      'store-wrong-key',
    );
    await reopenStore(createMemoryDisk({ image: before }).open(), redealt, later);
    await reopenStore(createMemoryDisk({ image: before }).open(), header, node);
  });
});
